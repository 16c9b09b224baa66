"""Schedules: the beat only queues, two beats make one, and of what was missed the newest runs."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from inference import tasks, wakeups
from inference.choices import ExecutionState
from inference.errors import BadScheduleError, TooManySchedulesError
from inference.models import INLINE_BYTES, Execution, Fire, Schedule
from inference.services import expiry, hooks, queue, schedules
from inference.services.request import Given
from inference.services.schedules import create, fire_due
from inference.services.submit import submit
from inference.services.tensors import prepare
from inference.services.when import MAX_INTERVAL_S, When
from inference.services.work import work
from registry.models import AuditEvent, Release
from tests.builders import publish_release
from tests.inference.builders import fp32, plan, publish
from tests.inference.conftest import Site
from tests.inference.executor.models import add
from tests.people import Person

SCHEDULES = "/api/v1/schedules"
NOON = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)  # a Sunday
GIVEN = Given(name="x", datatype="FP32", shape=(1, 2), data=[1.0, 2.0])
INPUTS = [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]
EVERY = When(interval_s=60)


@pytest.fixture(autouse=True)
def _no_broker(settings: Settings) -> None:
    settings.CELERY_BROKER_URL = "memory://"
    wakeups._client.cache_clear()


@pytest.fixture
def release(alice: Person) -> Release:
    return publish_release(alice)


def make(
    release: Release, person: Person, when: When = EVERY, now: datetime = NOON, **wishes: Any
) -> Schedule:
    name = release.model.full_name
    planned = plan(name, [GIVEN], user=person.user, **wishes)
    return create(person.user, planned, when, version="", now=now)


def fires(row: Schedule) -> list[datetime]:
    return [fire.at for fire in Fire.objects.filter(schedule=row).order_by("at")]


# ------------------------------------------------------------------ when


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("* * * * *", "2026-03-01 12:00", "2026-03-01 12:01"),
        ("*/15 * * * *", "2026-03-01 12:00", "2026-03-01 12:15"),
        ("0 9 * * MON-FRI", "2026-03-01 12:00", "2026-03-02 09:00"),
        ("30 4 1,15 * *", "2026-03-01 12:00", "2026-03-15 04:30"),
        ("0 0 29 2 *", "2026-03-01 12:00", "2028-02-29 00:00"),
        ("0 0 L * *", "2026-03-01 12:00", "2026-03-31 00:00"),
        ("30 2 * * *", "2026-03-28 12:00", "2026-03-29 02:30"),  # no summer time in UTC
    ],
)
def test_a_cron_expression_says_when(cron: str, after: str, expected: str) -> None:
    when = When(cron=cron).check()
    told = when.after(datetime.fromisoformat(f"{after}+00:00"))
    assert told == datetime.fromisoformat(f"{expected}+00:00")


@pytest.mark.parametrize(
    "when",
    [
        When(),
        When(cron="* * * * *", interval_s=60),
        When(interval_s=59),
        When(interval_s=0),
        When(interval_s=-60),
        When(interval_s=MAX_INTERVAL_S + 1),
        When(cron=" "),
        When(cron="* * * *"),
        When(cron="* * * * * *"),
        When(cron="60 * * * *"),
        When(cron="*/0 * * * *"),
        When(cron="0 0 30 2 *"),
        When(cron="0 0 31 2,4 *"),
        When(cron="@hourly"),
        When(cron="a b c d e"),
        When(cron="\u0660 \u0660 * * *"),
        When(cron="*," * 60 + "* * * * *"),
        When(cron="1-0 * * * *"),
        When(cron="* * L/2 * 5L/2"),
        When(cron="* * * * MON#6"),
    ],
)
def test_a_time_that_does_not_work_is_refused(when: When) -> None:
    with pytest.raises(BadScheduleError):
        when.check()


def test_an_expression_has_one_spelling() -> None:
    assert When(cron="  0   9 * * mon ").check() == When(cron="0 9 * * mon")


@pytest.mark.parametrize(
    ("when", "first", "now", "expected"),
    [
        (When(cron="0 * * * *"), 0, 0, 0),
        (When(cron="0 * * * *"), 0, 3_599, 0),
        (When(cron="0 * * * *"), 0, 3_600, 3_600),
        (When(cron="0 * * * *"), 0, 86_400 * 3 + 1, 86_400 * 3),
        (When(interval_s=90), 0, 0, 0),
        (When(interval_s=90), 0, 89, 0),
        (When(interval_s=90), 0, 90, 90),
        (When(interval_s=90), 0, 1_000, 990),
    ],
)
def test_the_newest_of_what_was_missed(when: When, first: int, now: int, expected: int) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    instants = [start + timedelta(seconds=seconds) for seconds in (first, now, expected)]
    assert when.newest(instants[0], instants[1]) == instants[2]
    late = instants[1] + timedelta(microseconds=999_999)
    assert when.newest(instants[0], late) == instants[2]


# ------------------------------------------------------------------ firing


def test_a_schedule_queues_what_was_asked_for(release: Release, alice: Person) -> None:
    hook = hooks.create(alice.user, "https://hooks.example.org/").hook
    row = make(release, alice, hook=str(hook.pk), outputs=("y",))
    at = NOON + timedelta(seconds=60)
    assert row.next_at == at
    assert fire_due(at - timedelta(seconds=1)) == 0
    assert fire_due(at) == 1
    execution = Execution.objects.get()
    assert execution.state == ExecutionState.QUEUED
    assert execution.idempotency_key == f"schedule:{row.pk}:2026-03-01T12:01:30.000Z"
    assert (execution.caller_id, execution.hook_id) == (alice.user.pk, hook.pk)
    assert (execution.input_id, execution.requested_outputs) == (row.input_id, ["y"])
    assert fires(row) == [at]
    row.refresh_from_db()
    assert (row.last_fired_at, row.next_at) == (at, at + timedelta(seconds=60))
    assert fire_due(at) == 0


def test_of_what_was_missed_the_newest_runs(release: Release, alice: Person) -> None:
    row = make(release, alice, When(cron="0 * * * *"))
    assert fire_due(NOON + timedelta(days=365)) == 1
    assert fires(row) == [datetime(2027, 3, 1, 12, 0, tzinfo=UTC)]
    row.refresh_from_db()
    assert row.next_at == datetime(2027, 3, 1, 13, 0, tzinfo=UTC)


def test_one_beat_queues_so_many(
    release: Release, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules, "MAX_FIRES", 2)
    for _ in range(3):
        make(release, alice)
    at = NOON + timedelta(seconds=60)
    assert [fire_due(at), fire_due(at), fire_due(at)] == [2, 1, 0]


def test_a_clock_that_goes_back_fires_nothing_twice(release: Release, alice: Person) -> None:
    row = make(release, alice)
    times = [NOON + timedelta(seconds=seconds) for seconds in (60, 30, 61, 59, 120, 60, 121)]
    assert [fire_due(now) for now in times] == [1, 0, 0, 0, 1, 0, 0]
    assert fires(row) == [NOON + timedelta(seconds=60), NOON + timedelta(seconds=120)]


def test_a_fire_that_was_rolled_back_happens_at_the_next_beat(
    release: Release, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, other = make(release, alice), make(release, alice)
    at = NOON + timedelta(seconds=60)

    def broken(planned: Any) -> Any:
        submitted = submit(planned)
        if str(row.pk) in planned.execution.idempotency_key:
            raise ConnectionError("storage is away")
        return submitted

    monkeypatch.setattr(schedules, "submit", broken)
    assert fire_due(at) == 1  # the other is not in its way
    assert (fires(row), fires(other)) == ([], [at])
    assert Execution.objects.count() == 1
    monkeypatch.setattr(schedules, "submit", submit)
    assert fire_due(at) == 1
    assert fires(row) == [at]


def test_a_fault_of_the_database_is_everybodys(
    release: Release, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise ConnectionError("away")

    monkeypatch.setattr(schedules, "_next_due", away)
    with pytest.raises(ConnectionError):
        fire_due(NOON)


@pytest.mark.django_db(transaction=True)
def test_two_beats_make_one_execution(release: Release, alice: Person) -> None:
    rows = [make(release, alice) for _ in range(5)]
    at = NOON + timedelta(seconds=60)
    start, fired = threading.Barrier(4), list[int]()

    def beat() -> None:
        try:
            start.wait(10)
            fired.append(fire_due(at))
        finally:
            connection.close()

    threads = [threading.Thread(target=beat) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(fired), sum(fired) + fire_due(at)) == (4, 5)
    assert Execution.objects.count() == 5
    assert [fires(row) for row in rows] == [[at]] * 5


def test_the_database_takes_a_time_once(release: Release, alice: Person) -> None:
    row = make(release, alice)
    fire_due(NOON + timedelta(seconds=60))
    fire = Fire.objects.get()
    with pytest.raises(IntegrityError, match="fire_once"), transaction.atomic():
        Fire.objects.create(schedule=row, at=fire.at, execution=fire.execution)
    for wrong in ({"interval_s": 59}, {"cron": "* * * * *"}, {"interval_s": None}):
        with pytest.raises(IntegrityError, match="cron_or_interval"), transaction.atomic():
            Schedule.objects.update(**wrong)


def test_the_tasks_queue_what_runs(site: Site, alice: Person) -> None:
    publish(alice, "add", add())
    planned = plan("alice/add", [fp32("x", 1)], user=alice.user)
    row = create(alice.user, planned, EVERY, version="", now=timezone.now() - timedelta(hours=1))
    assert (tasks.fire_schedules(), tasks.fire_schedules()) == (1, 0)
    (held,) = queue.claim(1)
    work(held)
    (fire,) = schedules.history(row).fires
    assert fire.execution.state == ExecutionState.SUCCEEDED


def test_a_large_input_is_read_from_where_it_lies(release: Release, alice: Person) -> None:
    pairs = INLINE_BYTES // 8 + 1
    large = Given(name="x", datatype="FP32", shape=(pairs, 2), data=bytes(pairs * 8))
    planned = plan(release.model.full_name, [large], user=alice.user)
    row = create(alice.user, planned, EVERY, version="", now=NOON)
    assert row.input.inline is None
    assert fire_due(NOON + timedelta(seconds=60)) == 1
    assert Execution.objects.get().input_id == row.input_id == prepare(planned.data).sha256


def test_an_input_is_kept_as_long_as_its_schedule(
    release: Release, alice: Person, settings: Settings
) -> None:
    settings.EXECUTION_KEEP_DAYS = 1
    row = make(release, alice)
    fire_due(NOON + timedelta(seconds=60))
    Execution.objects.update(state=ExecutionState.CANCELLED, finished_at=NOON)
    assert expiry.drop(timezone.now() + timedelta(days=10_000)) == 1
    row.input.refresh_from_db()
    assert row.input.dropped_at is None
    assert fire_due(NOON + timedelta(seconds=120)) == 1


# ------------------------------------------------------------------ what can run no more


def reason_of(row: Schedule) -> str:
    assert fire_due(NOON + timedelta(seconds=60)) == 0
    row.refresh_from_db()
    assert row.paused_at is not None
    assert not Execution.objects.exists()
    return row.paused_reason


def test_a_model_that_its_owner_may_not_read_pauses_the_schedule(
    release: Release, bob: Person
) -> None:
    row, other = make(release, bob), make(release, bob, now=NOON + timedelta(hours=1))
    release.model.visibility = "private"
    release.model.save()
    assert "no model" in reason_of(row)
    other.refresh_from_db()
    assert other.paused_at is None
    note = AuditEvent.objects.get(action="schedule.pause")
    assert (note.user_id, note.target) == (None, str(row.pk))


def test_inputs_that_the_model_no_longer_takes_pause_the_schedule(
    release: Release, alice: Person
) -> None:
    row = make(release, alice)
    other = prepare(plan(release.model.full_name, [GIVEN]).data.replace(b"FP32", b"FP64"))
    row.input.inline = other.data
    row.input.save()
    assert reason_of(row)


def test_a_webhook_that_is_gone_pauses_the_schedule(release: Release, alice: Person) -> None:
    hook = hooks.create(alice.user, "https://hooks.example.org/").hook
    row = make(release, alice, hook=str(hook.pk))
    hooks.delete(alice.user, hook.pk)
    assert "webhook" in reason_of(row)


def test_an_account_that_is_closed_runs_nothing(release: Release, alice: Person) -> None:
    row = make(release, alice)
    alice.user.is_active = False
    alice.user.save()
    assert reason_of(row) == "The account is not active."


# ------------------------------------------------------------------ pause, resume, stop


def test_a_pause_is_not_made_up_for(release: Release, alice: Person) -> None:
    row = make(release, alice)
    schedules.pause(alice.user, row.pk)
    assert schedules.pause(alice.user, row.pk).paused_at is not None
    assert fire_due(NOON + timedelta(hours=1)) == 0
    now = NOON + timedelta(hours=1, seconds=7)
    resumed = schedules.resume(alice.user, row.pk, now=now)
    assert (resumed.paused_at, resumed.next_at) == (None, NOON + timedelta(hours=1, seconds=60))
    assert fire_due(now) == 0
    assert fire_due(NOON + timedelta(hours=1, seconds=60)) == 1


def test_a_short_pause_changes_no_time(release: Release, alice: Person) -> None:
    row = make(release, alice)
    schedules.pause(alice.user, row.pk)
    assert schedules.resume(alice.user, row.pk, now=NOON).next_at == row.next_at
    assert schedules.resume(alice.user, row.pk, now=NOON + timedelta(days=1)).next_at == row.next_at


def test_what_is_stopped_stays_stopped(release: Release, alice: Person) -> None:
    row = make(release, alice)
    fire_due(NOON + timedelta(seconds=60))
    stopped = schedules.stop(alice.user, row.pk)
    assert schedules.stop(alice.user, row.pk).stopped_at == stopped.stopped_at
    assert fire_due(NOON + timedelta(days=1)) == 0
    for act in (schedules.pause, schedules.resume):
        with pytest.raises(BadScheduleError, match="for good"):
            act(alice.user, row.pk)
    assert len(schedules.history(row).fires) == 1


def test_an_account_has_so_many_schedules(release: Release, alice: Person, bob: Person) -> None:
    rows = [make(release, alice) for _ in range(schedules.MAX_SCHEDULES)]
    with pytest.raises(TooManySchedulesError):
        make(release, alice)
    make(release, bob)
    schedules.stop(alice.user, rows[0].pk)
    make(release, alice)


def test_history_goes_back_page_by_page(release: Release, alice: Person) -> None:
    row = make(release, alice)
    for minute in range(1, 6):
        assert fire_due(NOON + timedelta(minutes=minute)) == 1
    page = schedules.history(row, size=3)
    rest = schedules.history(row, size=3, cursor=page.next)
    assert [fire.at for fire in (*page.fires, *rest.fires)] == fires(row)[::-1]
    assert rest.next == ""
    for cursor in ("nonsense", "9" * 30, "-1" * 9, ""):
        assert len(schedules.history(row, cursor=cursor).fires) in (0, 5)


# ------------------------------------------------------------------ the interface


def body(release: Release, **changes: Any) -> dict[str, Any]:
    asked = {"model": release.model.full_name, "inputs": INPUTS, "interval_s": 3600}
    return {**asked, **changes}


def test_alice_makes_pauses_resumes_and_stops_a_schedule(release: Release, alice: Person) -> None:
    api = alice.api()
    hook = hooks.create(alice.user, "https://hooks.example.org/").hook
    asked = body(release, version="1.0.0", outputs=["y"], webhook=str(hook.pk), timezone="UTC")
    made = api.post(SCHEDULES, asked, format="json")
    assert made.status_code == 201
    row = made.json()
    assert made["Location"] == row["url"] == f"{SCHEDULES}/{row['id']}"
    told = {name: row[name] for name in ("model", "version", "state", "interval_s", "cron")}
    assert told == {
        "model": release.model.full_name,
        "version": "1.0.0",
        "state": "active",
        "interval_s": 3600,
        "cron": None,
    }
    assert (row["webhook"], row["outputs"]) == (str(hook.pk), ["y"])
    assert api.get(row["url"]).json() == row
    assert api.get(SCHEDULES).json() == {"items": [row], "next": ""}
    assert api.post(f"{row['url']}/pause").json()["state"] == "paused"
    assert api.get(row["url"]).json()["next_at"] is None
    assert api.post(f"{row['url']}/resume").json()["state"] == "active"
    Schedule.objects.update(next_at=NOON)
    fire_due(NOON)
    (item,) = api.get(f"{row['url']}/executions").json()["items"]
    assert (item["fired_at"], item["state"]) == ("2026-03-01T12:00:30.000Z", "queued")
    assert api.delete(row["url"]).json()["state"] == "stopped"
    assert api.get(SCHEDULES).json() == {"items": [], "next": ""}
    assert len(api.get(f"{SCHEDULES}?stopped=1").json()["items"]) == 1
    assert api.post(f"{row['url']}/resume").status_code == 400


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"interval_s": 59}, "bad_schedule"),
        ({"interval_s": None}, "bad_schedule"),
        ({"interval_s": "60"}, "bad_request"),
        ({"interval_s": True}, "bad_request"),
        ({"interval_s": None, "cron": "* * *"}, "bad_schedule"),
        ({"cron": "* * * * *"}, "bad_schedule"),
        ({"interval_s": None, "cron": 5}, "bad_request"),
        ({"timezone": "Europe/Zurich"}, "bad_request"),
        ({"model": None}, "bad_request"),
        ({"model": "alice/none"}, "unknown_model"),
        ({"version": 1}, "bad_request"),
        ({"inputs": {}}, "bad_request"),
        ({"inputs": []}, "bad_tensor"),
        ({"outputs": "y"}, "bad_request"),
        ({"outputs": [1]}, "bad_request"),
        ({"executor": "gpu"}, "bad_request"),
        ({"webhook": "nonsense"}, "unknown_webhook"),
        ({"private": True}, "bad_request"),
    ],
)
def test_a_malformed_schedule_is_not_made(
    release: Release, alice: Person, changes: dict[str, Any], code: str
) -> None:
    answer = alice.api().post(SCHEDULES, body(release, **changes), format="json")
    assert answer.json()["error"]["code"] == code
    assert 400 <= answer.status_code < 500
    assert not Schedule.objects.exists()


def test_a_schedule_is_an_object(alice: Person) -> None:
    assert alice.api().post(SCHEDULES, [1], format="json").status_code == 400


def test_mallory_may_not_touch_alices_schedule(
    release: Release, alice: Person, mallory: Person
) -> None:
    row = make(release, alice)
    api, base = mallory.api(), f"{SCHEDULES}/{row.pk}"
    hook = hooks.create(alice.user, "https://hooks.example.org/").hook
    answers = [
        api.get(base),
        api.delete(base),
        api.post(f"{base}/pause"),
        api.post(f"{base}/resume"),
        api.get(f"{base}/executions"),
        api.post(SCHEDULES, body(release, webhook=str(hook.pk)), format="json"),
    ]
    assert {answer.status_code for answer in answers} == {404}
    row.refresh_from_db()
    assert (row.paused_at, row.stopped_at) == (None, None)


def test_a_stranger_and_a_token_that_only_reads_schedule_nothing(
    release: Release, alice: Person
) -> None:
    for client, status in ((APIClient(), 401), (alice.api("read"), 403)):
        answer = client.post(SCHEDULES, body(release), format="json")
        assert answer.status_code == status
    assert alice.api("read").get(SCHEDULES).status_code == 200
    assert list(schedules.schedules_of(None)) == []
