"""Private executions: commitments are signed, the tensors are their caller's, until disclosed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as site_settings
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from assay.digests import sha256_hex
from assay.dsse import load_public_key, parse_compact
from assay.errors import VerificationError
from assay.policy import parse_trusted_root
from assay.receipt import execution_of
from assay.replay import EXACT, Material, NodeRunner, files_from_folder, find_node, replay
from assay.statements import ExecutionPredicate, parse_statement
from assay.tensors import commitment
from assay.verify import verify_receipt
from inference import wakeups
from inference.models import Execution, Tensors
from inference.selectors import tensor_bytes, tensor_files
from inference.services import expiry, privacy
from inference.services.run import infer
from ledger import services as ledger
from registry.choices import TokenScope
from tests.inference.builders import fp32, identities, pairs, plan, publish, run_queued
from tests.inference.conftest import Site
from tests.inference.executor.models import add
from tests.inference.test_api import ASK, URL, X, code, post
from tests.ledger.builders import sequence
from tests.people import PASSWORD, Person

SECRET = {**ASK, "private": True}


@pytest.fixture(autouse=True)
def asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "wake", lambda *_: None)


@pytest.fixture
def model(site: Site, alice: Person) -> None:
    publish(alice, "add", add())


@pytest.fixture
def anybody() -> APIClient:
    return APIClient()


def signed(receipt: str) -> ExecutionPredicate:
    return execution_of(parse_statement(parse_compact(receipt).payload))


def ran(person: Person, **fields: Any) -> dict[str, Any]:
    """Run in private by the queue; the answer is not fetched."""
    body: dict[str, Any] = post(person.api(), {**SECRET, **fields}).json()
    run_queued()
    return body


def bytes_of(client: Any, body: dict[str, Any], which: str) -> bytes:
    answer = client.get(f"/executions/{body['id']}/{which}.tensors")
    assert answer.status_code == 200
    return bytes(answer.getvalue())


# ------------------------------------------------------------------ what is signed and told


def test_alice_gets_tensors_and_salts_and_the_log_gets_commitments(
    model: None, alice: Person
) -> None:
    body = ran(alice)
    done = alice.api().get(body["url"]).json()
    assert done["outputs"][0]["data"] == [3.5]
    said = signed(done["receipt"])
    for which, claimed in (("input", said.input), ("output", said.output)):
        assert claimed.form == "commitment"
        digest = sha256_hex(bytes_of(alice.api(), body, which))
        salt = bytes.fromhex(done["salts"][which])
        assert claimed.sha256 == commitment(salt, digest) == done[which]["commitment"]
        assert done[which]["sha256"] is None
        assert digest.encode() not in parse_compact(done["receipt"]).payload


def test_mallory_sees_that_it_ran_and_nothing_of_what_ran(
    model: None, alice: Person, mallory: Person, anybody: APIClient
) -> None:
    body = ran(alice)
    row = Execution.objects.get(pk=body["id"])
    assert row.salts is not None
    for client in (mallory.api(), anybody):
        seen = client.get(body["url"]).json()
        assert (seen["state"], seen["private"], seen["outputs"]) == ("succeeded", True, None)
        assert seen["salts"] is None
        text = client.get(URL).content + client.get(body["url"]).content
        assert row.salts["output"].encode() not in text
        assert str(row.output_id).encode() not in text
        for which in ("input", "output"):
            answer = client.get(f"/executions/{body['id']}/{which}.tensors")
            assert code(answer) == (403, "private")
    read = alice.api(TokenScope.READ).get(body["url"]).json()
    assert read["salts"] == row.salts


def test_what_the_runtime_said_of_a_private_input_is_not_told_either(
    site: Site, alice: Person, anybody: APIClient
) -> None:
    publish(alice, "pairs", pairs())
    inputs = [{**X, "shape": [3], "data": [1, 2, 3]}]
    body = ran(alice, model="alice/pairs", inputs=inputs)
    hers, theirs = (client.get(body["url"]).json()["error"] for client in (alice.api(), anybody))
    assert hers["code"] == theirs["code"] == "model_failed"
    assert hers["message"] != theirs["message"] == "What was said about it is its caller's alone."
    page = anybody.get(f"/executions/{body['id']}/").content.decode()
    assert hers["message"] not in page


def test_pages_say_private_and_show_the_caller_alone(
    model: None, alice: Person, client: Client
) -> None:
    body = ran(alice)
    row = Execution.objects.get(pk=body["id"])
    assert row.salts is not None
    page = client.get(f"/executions/{body['id']}/").content.decode()
    assert "these tensors are their caller's alone" in page
    assert signed(row.receipt).output.sha256 in page
    assert row.salts["output"] not in page
    assert "[3.5]" not in page
    listed = client.get("/executions/").content.decode()
    assert str(row.output_id) not in listed
    client.login(username="alice", password=PASSWORD)
    own = client.get(f"/executions/{body['id']}/").content.decode()
    assert row.salts["output"] in own
    assert "[3.5]" in own


def test_a_private_set_is_nobodys_row_and_nobodys_blob(
    site: Site, alice: Person, bob: Person
) -> None:
    publish(alice, "big", identities(x="FP32"))
    large = [fp32("x", *([0.25] * 70_000))]
    rows = [
        infer(plan("alice/big", large, user=person.user, private=private)).execution
        for person, private in ((bob, False), (alice, True), (alice, True))
    ]
    public, *private = [Execution.objects.select_related("input").get(pk=row.pk) for row in rows]
    assert len({row.input_id for row in rows}) == 3
    for row in private:
        assert tensor_bytes(row.input) == tensor_bytes(public.input)
        assert row.input.size == public.input.size
        with tensor_files().open(row.input_id) as stream:
            assert sha256_hex(stream.read()) == row.input_id
        answer = alice.api().get(f"/executions/{row.pk}/input.tensors")
        assert sha256_hex(answer.getvalue()) == public.input_id
        assert int(answer["Content-Length"]) == row.input.size


def test_nobody_without_an_account_runs_in_private(model: None, anybody: APIClient) -> None:
    answer = post(anybody, SECRET)
    assert code(answer) == (401, "account_needed")
    assert answer["WWW-Authenticate"] == "Bearer"
    public = infer(plan("alice/add", [fp32("x", 1)])).execution
    copy = Execution.objects.get(pk=public.pk)
    copy.pk, copy.private, copy.entry, copy.output = None, True, None, None
    copy.state = "failed"
    with pytest.raises(IntegrityError, match="execution_private_has_caller"), transaction.atomic():
        copy.save(force_insert=True)


def test_one_key_finds_a_private_execution_too_and_tells_it_from_a_public_one(
    model: None, alice: Person
) -> None:
    client, key = alice.api(), {"Idempotency-Key": "k"}
    first, second = (post(client, SECRET, **key).json() for _ in range(2))
    assert first["id"] == second["id"]
    assert code(post(client, ASK, **key)) == (422, "idempotency_mismatch")
    other = {**SECRET, "inputs": [{**X, "data": [7]}]}
    assert code(post(client, other, **key)) == (422, "idempotency_mismatch")
    public = post(client, ASK).json()
    digests = Execution.objects.values_list("request_digest", flat=True)
    assert len(set(digests)) == 2
    assert Execution.objects.get(pk=public["id"]).input_id != first["id"]


def test_every_item_of_a_private_batch_is_private(model: None, alice: Person) -> None:
    items = [{"inputs": ASK["inputs"]}] * 2
    batch = {"model": "alice/add", "items": items, "private": True}
    post(alice.api(), batch)
    rows = Execution.objects.all()
    assert [row.private for row in rows] == [True, True]
    assert len({row.input_id for row in rows}) == 2


# ------------------------------------------------------------------ how long


def test_a_private_answer_is_dropped_soon_after_it_was_fetched(
    model: None, alice: Person, anybody: APIClient
) -> None:
    body = ran(alice, keep=60)
    now = timezone.now()
    assert expiry.drop(now + timedelta(hours=1)) == 0
    anybody.get(body["url"])  # somebody who looks is not the caller who fetches
    assert expiry.drop(now + timedelta(hours=1)) == 0
    alice.api().get(body["url"])
    assert expiry.drop(now + timedelta(seconds=50)) == 0
    assert expiry.drop(now + timedelta(minutes=5)) == 1
    row = Execution.objects.get(pk=body["id"])
    assert (row.salts, row.dropped_at is None) == (None, False)
    assert [bytes(one.inline or b"") for one in Tensors.objects.all()] == [b"", b""]
    gone = alice.api().get(f"/executions/{row.pk}/output.tensors")
    assert code(gone) == (410, "dropped")
    again = alice.api().get(body["url"]).json()
    assert (again["outputs"], again["salts"]) == (None, None)
    assert signed(again["receipt"]).output.form == "commitment"


def test_downloading_the_output_is_fetching_it(model: None, alice: Person) -> None:
    body = ran(alice, keep=0)
    bytes_of(alice.api(), body, "input")
    assert expiry.drop() == 0
    bytes_of(alice.api(), body, "output")
    assert expiry.drop() == 1


def test_a_private_answer_that_nobody_fetches_waits_a_day(model: None, alice: Person) -> None:
    ran(alice, keep=0)
    assert expiry.drop(timezone.now() + timedelta(hours=23)) == 0
    assert expiry.drop(timezone.now() + timedelta(hours=25)) == 1


def test_a_synchronous_answer_was_given(model: None, alice: Person, settings: Any) -> None:
    row = infer(plan("alice/add", [fp32("x", 1)], user=alice.user, private=True)).execution
    kept = Execution.objects.get(pk=row.pk).keep_until
    assert kept is not None
    assert kept < timezone.now() + timedelta(seconds=settings.EXECUTION_KEEP_PRIVATE_S)
    settings.EXECUTION_KEEP_PRIVATE_S = 0
    infer(plan("alice/add", [fp32("x", 1)], user=alice.user, private=True))
    assert expiry.drop() == 1


# ------------------------------------------------------------------ disclosure


def test_a_stranger_verifies_and_replays_what_alice_disclosed(
    model: None, alice: Person, anybody: APIClient
) -> None:
    body = ran(alice)
    sequence()
    answer = alice.api().post(f"{body['url']}/disclose")
    assert (answer.status_code, answer.json()["disclosed_at"] is None) == (200, False)
    told = anybody.get(body["url"]).json()
    assert told["outputs"][0]["data"] == [3.5]
    salts = {which: bytes.fromhex(told["salts"][which]) for which in ("input", "output")}
    sets = {which: bytes_of(anybody, body, which) for which in ("input", "output")}
    for which, data in sets.items():
        assert told[which]["sha256"] == sha256_hex(data)
    row = Execution.objects.select_related("entry").get(pk=body["id"])
    assert row.entry is not None
    receipt = anybody.get(f"/executions/{row.pk}/receipt").content
    public_key = load_public_key(bytes(row.entry.public_key))

    def check(given: bytes) -> None:
        verify_receipt(
            receipt,
            key=public_key,
            trusted_root=parse_trusted_root(ledger.trusted_root()),
            policy=None,
            input=given,
            input_salt=salts["input"],
            output=sets["output"],
            output_salt=salts["output"],
        )

    check(sets["input"])
    with pytest.raises(VerificationError, match="input is another one"):
        check(sets["output"])
    predicate = signed(row.receipt)
    files = files_from_folder(predicate.runtime, site_settings.PORTABLE_RUNTIME)
    again = replay(
        predicate,
        Material(graph=add(), input=sets["input"]),
        NodeRunner(node=find_node(), files=files),
        claimed_output=sets["output"],
        input_salt=salts["input"],
        output_salt=salts["output"],
    )
    assert again.verdict == EXACT
    page = anybody.get(f"/executions/{row.pk}/").content.decode()
    assert "private, disclosed" in page
    assert told["salts"]["output"] in page


def test_only_alice_discloses_and_only_what_is_hers_private_and_signed(
    model: None, alice: Person, mallory: Person, anybody: APIClient
) -> None:
    body = ran(alice)
    for client in (mallory.api(), anybody):
        assert code(client.post(f"{body['url']}/disclose")) == (404, "unknown_execution")
    public = post(alice.api(), ASK).json()
    assert code(alice.api().post(f"{public['url']}/disclose")) == (400, "bad_request")
    waiting = post(alice.api(), SECRET).json()
    assert code(alice.api().post(f"{waiting['url']}/disclose")) == (409, "still_running")
    alice.api().post(f"{waiting['url']}/cancel")
    assert code(alice.api().post(f"{waiting['url']}/disclose")) == (409, "ended")


def test_a_token_that_may_only_read_discloses_nothing(model: None, alice: Person) -> None:
    body = ran(alice)
    answer = alice.api(TokenScope.READ).post(f"{body['url']}/disclose")
    assert code(answer) == (403, "not_allowed")
    assert Execution.objects.get(pk=body["id"]).disclosed_at is None
    assert alice.api().post(f"{body['url']}/disclose").status_code == 200


def test_a_disclosure_is_for_ever_and_the_policy_keeps_the_tensors(
    model: None, alice: Person
) -> None:
    body = ran(alice, keep=0)
    client = alice.api()
    first = client.post(f"{body['url']}/disclose").json()
    assert client.post(f"{body['url']}/disclose").json() == first
    assert expiry.drop(timezone.now() + timedelta(days=89)) == 0
    assert expiry.drop(timezone.now() + timedelta(days=91)) == 1
    later = APIClient().get(body["url"]).json()
    assert later["salts"] == first["salts"]
    assert later["output"]["sha256"] == first["output"]["sha256"]
    for change in ({"disclosed_at": None}, {"salts": None}, {"disclosed_at": Now()}):
        with pytest.raises(IntegrityError, match="stays disclosed"), transaction.atomic():
            Execution.objects.filter(pk=body["id"]).update(**change)


def test_after_the_drop_alice_may_still_open_the_commitments_with_what_she_kept(
    model: None, alice: Person, anybody: APIClient
) -> None:
    body = ran(alice, keep=0)
    client = alice.api()
    sets = {which: sha256_hex(bytes_of(client, body, which)) for which in ("input", "output")}
    salts = client.get(body["url"]).json()["salts"]
    expiry.drop()
    address = f"{body['url']}/disclose"
    assert code(client.post(address)) == (410, "dropped")
    zeros = {"input": "0" * 64, "output": "0" * 64}
    for wrong in (
        {"salts": salts, "digests": zeros},
        {"salts": zeros, "digests": sets},
        {"salts": {**salts, "output": salts["output"].upper() + " "}, "digests": sets},
        {"salts": {**salts, "output": "x"}, "digests": sets},
        {"salts": salts},
        {"salts": salts, "digests": {"input": sets["input"]}},
        {"salts": salts, "digests": {"input": 1, "output": 2}},
        {"salts": salts, "digests": sets, "more": 1},
        [1],
    ):
        assert code(client.post(address, wrong, format="json")) == (400, "bad_request")
    opening = {"salts": salts, "digests": sets}
    assert client.post(address, opening, format="json").status_code == 200
    told = anybody.get(body["url"]).json()
    assert (told["salts"], told["outputs"]) == (salts, None)
    assert {which: told[which]["sha256"] for which in sets} == sets
    assert code(anybody.get(f"/executions/{body['id']}/output.tensors")) == (410, "dropped")


def test_what_is_brought_to_a_kept_execution_must_fit_too(model: None, alice: Person) -> None:
    body = ran(alice)
    zeros = {"input": "0" * 64, "output": "0" * 64}
    wrong = {"salts": zeros, "digests": zeros}
    answer = alice.api().post(f"{body['url']}/disclose", wrong, format="json")
    assert code(answer) == (400, "bad_request")
    assert Execution.objects.get(pk=body["id"]).disclosed_at is None


def test_a_drop_wins_against_a_disclosure_that_came_too_late(
    model: None, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = ran(alice, keep=0)
    alice.api().get(body["url"])
    check = privacy._check

    def dropped_meanwhile(*given: Any) -> None:
        check(*given)
        expiry.drop()

    monkeypatch.setattr(privacy, "_check", dropped_meanwhile)
    answer = alice.api().post(f"{body['url']}/disclose")
    assert code(answer) == (410, "dropped")
    row = Execution.objects.get(pk=body["id"])
    assert (row.disclosed_at, row.salts) == (None, None)


def test_a_blob_that_was_dropped_while_alice_disclosed_is_missed_politely(
    site: Site, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(alice, "big", identities(x="FP32"))
    large = plan(
        "alice/big", [fp32("x", *([0.5] * 70_000))], user=alice.user, private=True, keep_s=0
    )
    row = infer(large).execution
    own = privacy._own

    def dropped_meanwhile(*given: Any) -> Execution:
        found = own(*given)
        expiry.drop()
        return found

    monkeypatch.setattr(privacy, "_own", dropped_meanwhile)
    answer = alice.api().post(f"/api/v1/executions/{row.pk}/disclose")
    assert code(answer) == (410, "dropped")
