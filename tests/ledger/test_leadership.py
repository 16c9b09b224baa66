"""One leads, and a leader that is gone, frozen or cut off does not lead on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from ledger import leadership as leading, services as ledger
from ledger.choices import LeaderState
from ledger.errors import LogBusyError, LogHeldError, LogStoppedError
from ledger.leadership import (
    BEAT_S,
    ENDING_MS,
    SILENT_S,
    Candidate,
    DeposedError,
    beating,
    begin_term,
    end_holder,
    is_own,
    leadership,
    own_log,
    tell,
)
from ledger.models import Leader, Log
from tests.ledger.beside import PATIENCE_S, beside
from tests.ledger.builders import claim, sequence, whole

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def opened() -> None:
    ledger.ensure_log()


def elsewhere(act: Callable[[], None]) -> None:
    """Do something over another connection, as another process would."""
    with beside(act):
        pass


# ---------------------------------------------------------------- the lock


def test_a_second_sequencer_does_not_lead_while_the_first_one_does(opened: None) -> None:
    answers: list[bool] = []

    def ask() -> None:
        with leadership("localhost") as leads:
            answers.append(leads)

    with leadership("localhost") as leads:
        assert leads
        elsewhere(ask)
        with leadership("other.example.org") as other:
            assert other  # each log has a lock of its own
    elsewhere(ask)
    assert answers == [False, True]


def test_whoever_ends_the_holders_session_may_lead_and_the_holder_notices(opened: None) -> None:
    def take_over() -> None:
        assert end_holder("other.example.org") == 0
        assert end_holder("localhost") == 1
        with leadership("localhost") as leads:
            assert leads

    with leadership("localhost"):
        elsewhere(take_over)
        with pytest.raises(OperationalError):
            Log.objects.get()
    connection.close()
    assert Log.objects.count() == 1


def test_nobody_ends_a_session_of_ones_own(opened: None) -> None:
    with leadership("localhost"):
        assert end_holder("localhost") == 0
        assert Log.objects.count() == 1


# ---------------------------------------------------------------- the term


def test_each_leader_has_a_term_of_its_own_and_the_last_one_counts(opened: None) -> None:
    first, second = begin_term("localhost"), begin_term("localhost")
    assert (first, second) == (1, 2)
    assert [is_own("localhost", term) for term in (first, second)] == [False, True]
    with own_log("localhost", second) as log:
        assert log.term == second
    with own_log("localhost", None) as log:
        assert log.origin == "localhost"
    with pytest.raises(DeposedError, match="Term 2"), own_log("localhost", first):
        pytest.fail("a deposed leader went on")


def test_a_term_ends_after_the_transaction_that_is_under_way_and_not_within_it(
    opened: None,
) -> None:
    term = begin_term("localhost")
    begun = threading.Event()

    def depose() -> None:
        begin_term("localhost")
        begun.set()

    def run() -> None:
        elsewhere(depose)

    thread = threading.Thread(target=run)
    with own_log("localhost", term):
        thread.start()
        assert not begun.wait(0.2)
    thread.join(PATIENCE_S)
    assert begun.is_set()
    assert not is_own("localhost", term)


def test_claims_come_in_while_a_leader_holds_the_row_of_the_log(opened: None) -> None:
    """Else a slow disk in step 8 would stop every writer of the registry."""

    def append() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '5s'")
        claim(1).append()

    with own_log("localhost", begin_term("localhost")):
        elsewhere(append)
    sequence()
    assert whole() == 1


def test_a_claim_that_is_not_committed_yet_holds_no_leader_up(opened: None) -> None:
    def lead() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '5s'")
        claim(2).append()
        sequence()

    with transaction.atomic():
        one = claim(1)
        ledger.append(one.envelope, one.key, one.statement)
        elsewhere(lead)
    sequence()
    assert whole() == 2


# ---------------------------------------------------------------- the heartbeat


def test_a_take_over_is_a_matter_of_five_seconds() -> None:
    polls_s = 2 * settings.LEDGER_INTERVAL_MS / 1000
    assert SILENT_S + polls_s + ENDING_MS / 1000 <= 5
    assert BEAT_S * 3 < SILENT_S


def test_only_a_leader_that_is_silent_for_four_seconds_is_ended(
    opened: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []

    def note(origin: str) -> int:
        ended.append(origin)
        return 1

    monkeypatch.setattr(leading, "end_holder", note)
    now = [100.0]
    waits = Candidate("localhost", clock=lambda: now[0])
    begin_term("localhost")
    for _ in range(6):  # each second a beat
        assert not waits.depose_silent()
        Leader.objects.update(beat_at=timezone.now())
        now[0] += 1
    assert not waits.depose_silent()
    now[0] += 3.9
    assert not waits.depose_silent()
    now[0] += 0.1
    assert waits.depose_silent()
    assert not waits.depose_silent()  # it had its chance to lead
    begin_term("localhost")
    now[0] += 60  # one that slept itself has heard nothing, and that is not the leader's fault
    assert not waits.depose_silent()
    assert ended == ["localhost"]


def test_a_holder_that_never_said_anything_is_ended_too(opened: None) -> None:
    now = [0.0]
    waits = Candidate("localhost", clock=lambda: now[0])
    now[0] = 4.0
    assert not Leader.objects.exists()
    assert not waits.depose_silent()  # nobody holds the lock at all


def test_a_leader_beats_until_its_term_ends(opened: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leading, "BEAT_S", 0.01)
    term = begin_term("localhost")
    old = timezone.now() - timedelta(hours=1)
    Leader.objects.update(beat_at=old)
    with beating("localhost", term) as ended:
        for _ in range(PATIENCE_S * 100):
            if Leader.objects.get().beat_at > old:
                break
            assert not ended.wait(0.01)
        assert Leader.objects.get().beat_at > old
        begin_term("localhost")
        assert ended.wait(PATIENCE_S)
    assert not [thread for thread in threading.enumerate() if thread.name == "beat"]


def test_a_heartbeat_survives_a_database_that_was_away(
    opened: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(leading, "BEAT_S", 0.01)
    term = begin_term("localhost")
    told = threading.Event()
    monkeypatch.setattr(leading.log, "warning", lambda *_: told.set())
    with beating("localhost", term) as ended:
        with connection.cursor() as cursor:
            for _ in range(PATIENCE_S * 100):
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                if told.wait(0.01):
                    break
        assert told.is_set()
        begin_term("localhost")
        assert ended.wait(PATIENCE_S)


# ---------------------------------------------------------------- what people read


def test_before_anybody_led_the_state_is_absent(opened: None) -> None:
    state = ledger.log_state()
    assert (state.state, state.alive, state.leader, state.beat_at) == ("absent", False, "", None)
    claim(1).append()


def test_without_a_log_there_is_no_state() -> None:
    with pytest.raises(LogBusyError):
        ledger.log_state()


def test_a_leader_is_alive_while_it_beats(opened: None) -> None:
    begin_term("localhost")
    state = ledger.log_state()
    assert (state.state, state.alive, state.reason) == ("leading", True, "")
    assert "process" in state.leader
    Leader.objects.update(beat_at=timezone.now() - timedelta(seconds=11))
    assert not ledger.log_state().alive


def test_while_the_log_is_held_nothing_is_taken_in_and_the_reason_is_told(opened: None) -> None:
    term = begin_term("localhost")
    tell("localhost", term, LeaderState.HELD, "The disk is full." + "x" * 2000)
    since = ledger.log_state().since
    tell("localhost", term, LeaderState.HELD, "The disk is full." + "x" * 2000)
    assert ledger.log_state().since == since
    with pytest.raises(LogHeldError, match="The disk is full"):
        claim(1).append()
    begin_term("localhost")  # a new leader has not recovered yet
    with pytest.raises(LogHeldError):
        claim(1).append()
    Leader.objects.update(beat_at=timezone.now() - timedelta(seconds=31))
    claim(1).append()  # whoever was held is gone: what it knew is old
    sequence()
    assert whole() == 1


def test_a_log_that_stopped_stays_so_until_a_leader_has_recovered(opened: None) -> None:
    term = begin_term("localhost")
    tell("localhost", term, LeaderState.STOPPED, "Two roots.")
    Leader.objects.update(beat_at=timezone.now() - timedelta(days=3))
    for _ in range(2):
        with pytest.raises(LogStoppedError, match="Two roots"):
            claim(1).append()
        later = begin_term("localhost")
    tell("localhost", later, LeaderState.LEADING)
    claim(1).append()


def test_what_a_deposed_leader_says_is_not_heard(opened: None) -> None:
    first = begin_term("localhost")
    begin_term("localhost")
    tell("localhost", first, LeaderState.STOPPED, "What do I know.")
    assert ledger.log_state().state == "leading"
