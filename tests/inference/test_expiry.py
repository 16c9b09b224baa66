"""Tensors are kept as long as policy says: bytes go, receipts stay, and no living run loses any."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from assay.digests import sha256_hex
from inference import tasks, wakeups
from inference.errors import DroppedError
from inference.models import INLINE_BYTES, Execution, Tensors
from inference.selectors import open_tensors, tensor_bytes, tensor_files
from inference.services import expiry, tensors
from inference.services.run import infer
from inference.services.submit import submit
from registry.storage import blobs
from tests.inference.builders import fp32, identities, plan, publish, run_queued
from tests.inference.conftest import Site
from tests.inference.executor.models import add
from tests.inference.test_api import ASK, code, post
from tests.ledger.builders import sequence
from tests.people import Person

DAY = timedelta(days=1)
LARGE = 70_000  # FP32 values: more than a row holds


@pytest.fixture(autouse=True)
def asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "wake", lambda *_: None)


@pytest.fixture
def model(alice: Person, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("committed" if "committed" in request.fixturenames else "site")
    publish(alice, "add", add())


def ran(value: float = 1, user: Any = None, **wishes: Any) -> Execution:
    return infer(plan("alice/add", [fp32("x", value)], user=user, **wishes)).execution


def later(days: float) -> int:
    return expiry.drop(timezone.now() + timedelta(days=days))


def fresh(row: Execution) -> Execution:
    return Execution.objects.select_related("input", "output").get(pk=row.pk)


# ------------------------------------------------------------------ policy


def test_anonymous_callers_are_kept_for_a_month_and_accounts_for_three(
    model: None, alice: Person
) -> None:
    hers, nobodys = ran(1, user=alice.user), ran(2)
    assert later(29) == 0
    assert later(31) == 1
    assert (fresh(nobodys).dropped_at is None, fresh(hers).dropped_at is None) == (False, True)
    assert later(91) == 1
    assert fresh(hers).dropped_at is not None


def test_the_policy_is_a_setting_that_counts_for_what_is_there(model: None, settings: Any) -> None:
    row = ran()
    settings.EXECUTION_KEEP_ANONYMOUS_DAYS = 2
    ended = fresh(row).finished_at
    assert ended is not None
    assert expiry.kept_until(fresh(row)) == ended + 2 * DAY
    assert later(3) == 1


def test_a_caller_may_ask_for_less_and_for_no_more(model: None, alice: Person) -> None:
    short, greedy = ran(1, user=alice.user, keep_s=60), ran(2, user=alice.user, keep_s=10**9)
    assert short.keep_until == short.deadline + timedelta(seconds=60)
    assert greedy.keep_until == greedy.deadline + 90 * DAY
    assert later(0.5) == 1
    assert fresh(short).dropped_at is not None


def test_what_has_not_ended_is_kept_whatever_was_asked(model: None) -> None:
    row = submit(plan("alice/add", [fp32("x", 1)], keep_s=0)).execution
    assert expiry.kept_until(row) == row.deadline
    assert later(400) == 0
    waiting = submit(plan("alice/add", [fp32("x", 1)])).execution
    assert expiry.kept_until(waiting) is None


def test_celery_drops_too(model: None) -> None:
    row = ran(keep_s=0)
    Execution.objects.update(keep_until=timezone.now() - DAY)
    assert tasks.drop_expired() == 1
    assert fresh(row).dropped_at is not None


def test_many_are_dropped_in_steps(model: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "STEP", 2)
    for number in range(5):
        ran(number)
    assert later(31) == 5
    assert later(31) == 0


# ------------------------------------------------------------------ what goes, what stays


def test_the_receipt_and_the_digests_stay_and_the_bytes_go(model: None) -> None:
    anybody, row = APIClient(), ran()
    sequence()
    before = anybody.get(f"/api/v1/executions/{row.pk}").json()
    later(31)
    after = anybody.get(f"/api/v1/executions/{row.pk}").json()
    assert after["dropped_at"] is not None
    for same in ("state", "input", "output", "receipt", "manifest"):
        assert after[same] == before[same]
    assert (before["outputs"][0]["data"], after["outputs"]) == ([2], None)
    for name in ("input.tensors", "output.tensors"):
        gone = anybody.get(f"/executions/{row.pk}/{name}")
        assert code(gone) == (410, "dropped")
        assert "receipt and digests stay" in gone.json()["error"]["message"]
    assert anybody.get(f"/executions/{row.pk}/receipt").status_code == 200
    assert anybody.get(f"/executions/{row.pk}/statement").content.decode() == row.receipt
    assert [bytes(one.inline or b"") for one in Tensors.objects.all()] == [b"", b""]


def test_the_page_says_that_nothing_is_kept_any_more(model: None, client: Client) -> None:
    row = ran()
    page = client.get(f"/executions/{row.pk}/").content.decode()
    assert "Tensors kept until" in page
    later(31)
    page = client.get(f"/executions/{row.pk}/").content.decode()
    assert "Not kept any more" in page
    assert "Tensors dropped" in page
    assert "output.tensors</a></p>" not in page


def test_a_set_that_a_living_execution_needs_stays(model: None, alice: Person) -> None:
    old, living = ran(1), ran(1, user=alice.user)
    assert old.input_id == living.input_id
    assert later(31) == 1
    assert tensor_bytes(fresh(living).input)
    assert APIClient().get(f"/executions/{old.pk}/input.tensors").status_code == 410
    assert APIClient().get(f"/executions/{living.pk}/input.tensors").status_code == 200
    later(91)
    with pytest.raises(DroppedError):
        tensor_bytes(fresh(living).input)


def test_an_output_that_is_anothers_input_stays(model: None, alice: Person) -> None:
    publish(alice, "same", identities(y="FP32"))
    old = ran(1)
    name = [fp32("y", 2)]
    living = infer(plan("alice/same", name, user=alice.user)).execution
    assert old.output_id == living.input_id
    later(31)
    assert tensor_bytes(fresh(living).input)


def large(**wishes: Any) -> Execution:
    values = [fp32("x", *([0.5] * LARGE))]
    return infer(plan("alice/big", values, **wishes)).execution


def test_large_sets_lie_apart_from_models_and_their_blobs_go(site: Site, alice: Person) -> None:
    publish(alice, "big", identities(x="FP32"))
    row = large()
    assert row.input.size > INLINE_BYTES
    assert tensor_files().exists(row.input_id)
    assert not blobs().exists(row.input_id)
    # Somebody publishes the very same bytes: they are another file.
    blobs().put(tensor_bytes(row.input))
    later(31)
    assert not tensor_files().exists(row.input_id)
    assert blobs().exists(row.input_id)


def test_a_set_from_before_the_move_is_still_found(site: Site, alice: Person) -> None:
    publish(alice, "big", identities(x="FP32"))
    row = large()
    data = tensor_bytes(row.input)
    blobs().put(data)
    tensor_files().delete(row.input_id)
    with open_tensors(row.input) as stream:
        assert sha256_hex(stream.read()) == row.input_id


def test_a_crash_before_the_blob_is_gone_is_made_good(
    site: Site, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(alice, "big", identities(x="FP32"))
    row = large()
    with monkeypatch.context() as patch:
        patch.setattr(expiry, "_delete_blobs", lambda: None)
        later(31)
    assert tensor_files().exists(row.input_id)
    assert code(APIClient().get(f"/executions/{row.pk}/input.tensors")) == (410, "dropped")
    assert later(31) == 0
    assert not tensor_files().exists(row.input_id)


# ------------------------------------------------------------------ coming back


@pytest.mark.parametrize("crashed", [False, True])
def test_the_same_input_comes_back_with_a_new_execution(
    site: Site, alice: Person, monkeypatch: pytest.MonkeyPatch, crashed: bool
) -> None:
    publish(alice, "big", identities(x="FP32"))
    publish(alice, "add", add())
    small, big = ran(1), large()
    with monkeypatch.context() as patch:
        if crashed:
            patch.setattr(expiry, "_delete_blobs", lambda: None)
        later(31)
    again, once_more = ran(1), large()
    assert (again.input_id, once_more.input_id) == (small.input_id, big.input_id)
    later(0)
    for row in (again, once_more):
        assert sha256_hex(tensor_bytes(fresh(row).input)) == row.input_id
        assert sha256_hex(tensor_bytes(Tensors.objects.get(pk=row.output_id))) == row.output_id
    # The old ones are gone for good, although the rows have bytes again.
    assert APIClient().get(f"/executions/{small.pk}/input.tensors").status_code == 410


def test_a_set_that_is_dropped_between_looking_and_writing_has_its_blob(
    site: Site, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst moment: `prepare` saw it, and then it was dropped."""
    publish(alice, "big", identities(x="FP32"))
    row = large()
    stored = tensors.prepare(tensor_bytes(row.input), row.input_id)
    later(31)
    assert not tensor_files().exists(row.input_id)
    with transaction.atomic():
        tensors.save(stored)
    assert sha256_hex(tensor_bytes(Tensors.objects.get(pk=row.input_id))) == row.input_id


def test_a_row_that_another_transaction_wrote_meanwhile_is_held_at_the_second_look(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = tensors.prepare(b"some bytes")
    looks: list[int] = []
    write = tensors._write

    def late(items: Any) -> dict[str, bool]:
        looks.append(len(items))
        return {} if len(looks) == 1 else write(items)

    monkeypatch.setattr(tensors, "_write", late)
    tensors.save(stored)
    assert looks == [1, 1]
    assert Tensors.objects.filter(pk=stored.sha256).exists()


@pytest.mark.parametrize("commits", [True, False])
def test_a_drop_waits_for_who_is_writing_the_same_input(
    committed: Site, model: None, alice: Person, commits: bool
) -> None:
    """A new execution is being written while its input is dropped: the drop decides afterwards."""
    old = ran(1)
    asked = plan("alice/add", [fp32("x", 1)], user=alice.user)
    stored = tensors.prepare(asked.data, asked.execution.input_id)
    dropper = threading.Thread(target=_drop_and_close)
    with transaction.atomic():
        tensors.save(stored)
        dropper.start()
        _wait_for_lock()
        asked.execution.save(force_insert=True)
        transaction.set_rollback(not commits)
    dropper.join()
    row = Tensors.objects.get(pk=old.input_id)
    assert (row.dropped_at is None) is commits
    assert fresh(old).dropped_at is not None


def _drop_and_close() -> None:
    try:
        later(31)
    finally:
        connection.close()


def _wait_for_lock() -> None:
    """Return when the dropper waits for a row that this transaction holds."""
    with connection.cursor() as cursor:
        for _ in range(100_000):
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
    pytest.fail("nobody waits")


def test_droppers_and_writers_race_and_no_living_execution_loses_its_input(
    committed: Site, model: None, alice: Person
) -> None:
    ran(1)
    written: list[Execution] = []
    faults: list[BaseException] = []

    def write() -> None:
        try:
            written.extend(
                submit(plan("alice/add", [fp32("x", 1)], user=alice.user)).execution
                for _ in range(15)
            )
        except BaseException as error:  # noqa: BLE001 (told to the test)
            faults.append(error)
        finally:
            connection.close()

    def drop() -> None:
        try:
            for _ in range(15):
                later(31)
                # What ended long ago is asked for again and again.
                Execution.objects.filter(state="queued", pk__in=_some(written)).update(
                    state="cancelled", cancel_requested=timezone.now(), finished_at=timezone.now()
                )
                later(91)
        except BaseException as error:  # noqa: BLE001 (told to the test)
            faults.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for one in (write, write, drop, drop)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    living = Execution.objects.filter(dropped_at=None).select_related("input")
    for row in [*living, submit(plan("alice/add", [fp32("x", 1)])).execution]:
        assert sha256_hex(tensor_bytes(fresh(row).input)) == row.input_id
    later(400)


def _some(rows: list[Execution]) -> list[Any]:
    return [row.pk for row in rows[::2]]


# ------------------------------------------------------------------ the database's part


@pytest.mark.parametrize(
    "change",
    [
        {"dropped_at": None},
        {"receipt": ""},
        {"run_ms": 1.0},
        {"salts": {"input": "00"}},
        {"disclosed_at": timezone.now()},
        {"private": True},
    ],
)
def test_an_ended_row_loses_its_tensors_once_and_changes_in_nothing_else(
    model: None, change: dict[str, Any]
) -> None:
    row = ran()
    later(31)
    with pytest.raises(IntegrityError), transaction.atomic():
        Execution.objects.filter(pk=row.pk).update(**change)


def test_nothing_is_dropped_before_its_end(model: None) -> None:
    row = submit(plan("alice/add", [fp32("x", 1)])).execution
    with pytest.raises(IntegrityError), transaction.atomic():
        Execution.objects.filter(pk=row.pk).update(dropped_at=timezone.now())


def test_keep_is_taken_over_the_wire_and_shown(model: None, alice: Person) -> None:
    body = post(alice.api(), {**ASK, "keep": 0}).json()
    assert body["kept_until"] == body["deadline"]
    run_queued()
    assert alice.api().get(body["url"]).json()["outputs"]
    assert later(0.1) == 1
    assert alice.api().get(body["url"]).json()["outputs"] is None
