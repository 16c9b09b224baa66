"""Witnesses are asked, and none of them can hurt the log: not the slow, the broken, the lying."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assay.errors import FormatError, UnavailableError, VerificationError
from assay.note import COSIGNATURE, VKey, cosign_line, parse_note, vkey_for
from assay.policy import Group, PolicyKey, TlogPolicy, render_policy
from assay.witness import Answer, WitnessState
from ledger import services as ledger
from ledger.models import Checkpoint, Cosignature
from ledger.sequencer import Sequencer
from ledger.storage import log_storage
from ledger.witnesses import MAX_ANSWER, Asking, Request, is_near, read_answer
from tests.ledger.builders import append_all, sequence, sequencer, verified, whole
from tests.ledger.witness import TIME, Witness, trust, witness, write_policy


def ask_again(leader: Sequencer) -> None:
    """Let the time pass after which a silent witness is asked again."""
    join_all()
    leader._asking.late()
    leader._asking._not_before.clear()


def join_all() -> None:
    """Wait until no question is under way."""
    for thread in threading.enumerate():
        if thread.name == "witness":
            thread.join(5)
            assert not thread.is_alive(), "a thread was left behind"


def shown() -> bytes:
    return log_storage().get("checkpoint")


def test_a_checkpoint_is_published_with_the_witnesss_line(opened: None, wanda: Witness) -> None:
    (entry,) = append_all(range(1))
    sequence()
    head = ledger.newest_checkpoint()
    assert (head.size, head.witnesses, head.quorum) == (1, 1, 1)
    assert shown() == head.note
    assert ledger.entry_status(entry).witnesses == 1
    assert verified(entry, 0).checkpoint.witnesses == (("wanda", TIME),)
    row = Cosignature.objects.get(checkpoint__size=1)
    assert (row.witness, int(row.seen_at.timestamp())) == ("wanda", TIME)


def test_the_witness_sees_each_checkpoint_grow_from_the_one_before(
    opened: None, wanda: Witness
) -> None:
    append_all(range(3))
    sequence()
    append_all(range(3, 5))
    sequence()
    assert [request.split(b"\n")[0] for request in wanda.requests] == [
        b"old 0",
        b"old 0",
        b"old 3",
    ]
    assert wanda.store.states["localhost"].size == 5


def test_a_witness_at_another_size_is_asked_from_there(opened: None, wanda: Witness) -> None:
    append_all(range(3))
    sequence()
    first = Checkpoint.objects.get(size=3)
    wanda.store.states.clear()  # she lost her memory
    append_all(range(3, 5))
    sequence()
    assert [request.split(b"\n")[0] for request in wanda.requests][-2:] == [b"old 3", b"old 0"]
    assert ledger.newest_checkpoint().witnesses == 1
    assert bytes(first.root) != ledger.newest_checkpoint().root


def test_a_witness_that_knows_a_larger_tree_than_we_do_does_not_cosign(
    opened: None, wanda: Witness
) -> None:
    wanda.store.states["localhost"] = WitnessState(size=10, root=bytes(32))
    append_all(range(3))
    sequence()
    assert ledger.newest_checkpoint().witnesses == 0


def test_a_fork_that_the_witness_refuses_is_not_shown_as_witnessed(
    opened: None, wanda: Witness
) -> None:
    wanda.store.states["localhost"] = WitnessState(size=2, root=bytes(32))
    append_all(range(3))
    sequence()
    assert ledger.newest_checkpoint().witnesses == 0
    assert whole() == 3


@pytest.mark.parametrize(
    "lie",
    [
        Answer(status=200, body=b""),
        Answer(status=200, body=b"not a line\n"),
        Answer(status=200, body="— wanda AAAA\n".encode()),
        Answer(status=200, body=b"x" * (MAX_ANSWER + 1)),
        Answer(status=403, body=b"who are you\n"),
        Answer(status=404, body=b""),
        Answer(status=422, body=b"\xff\xfe"),
        Answer(status=500, body=b"<html>"),
        Answer(status=409, body=b"many\n"),
        Answer(status=409, body=b"-1\n"),
        Answer(status=409, body=b"1\n"),
        Answer(status=409, body=b"99999999999999999999\n"),
        Answer(status=302, body=b""),
    ],
)
def test_a_lying_witness_changes_nothing_but_its_own_line(
    opened: None, wanda: Witness, lie: Answer
) -> None:
    wanda.lie = lie
    (entry,) = append_all(range(1))
    sequence()
    assert ledger.entry_status(entry).included
    assert ledger.newest_checkpoint().witnesses == 0
    assert not Cosignature.objects.exists()
    assert whole() == 1


def note_and_witness() -> tuple[bytes, Ed25519PrivateKey, VKey]:
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    return ledger.newest_checkpoint().note, key, vkey_for("wim", key.public_key(), COSIGNATURE)


def test_of_several_lines_the_earliest_counts_and_strangers_are_ignored(opened: None) -> None:
    note, key, vkey = note_and_witness()
    text = parse_note(note).text
    late, early = cosign_line(text, "wim", key, 9), cosign_line(text, "wim", key, 5)
    stranger = cosign_line(text, "stranger", key, 1)
    found = read_answer(note, f"{late}{stranger}{early}".encode(), vkey)
    assert (found.line, found.time) == (early, 5)


def test_a_line_over_another_checkpoint_is_refused(opened: None) -> None:
    note, key, vkey = note_and_witness()
    line = cosign_line("localhost\n9\nAAAA\n", "wim", key, 5)
    with pytest.raises(VerificationError):
        read_answer(note, str(line).encode(), vkey)


def test_a_time_that_no_calendar_has_is_refused(opened: None) -> None:
    note, key, vkey = note_and_witness()
    line = cosign_line(parse_note(note).text, "wim", key, 2**62)
    with pytest.raises(VerificationError, match="calendar"):
        read_answer(note, str(line).encode(), vkey)


# ---------------------------------------------------------------- slow ones


def test_a_witness_that_hangs_delays_the_checkpoint_and_does_not_stop_it(
    opened: None, wanda: Witness
) -> None:
    wanda.hang.clear()
    leader = sequencer()
    (entry,) = append_all(range(1))
    ask_again(leader)
    assert leader.cycle() == 1
    assert ledger.entry_status(entry).included
    assert ledger.newest_checkpoint().witnesses == 0
    wanda.hang.set()
    leader.cycle()
    assert ledger.newest_checkpoint().witnesses == 0  # it is not asked again at once
    ask_again(leader)
    leader.cycle()
    assert ledger.newest_checkpoint().witnesses == 1
    assert shown() == ledger.newest_checkpoint().note


def test_a_witness_that_was_down_gets_the_checkpoint_later(
    opened: None, log_vkey: VKey, policy_path: Path
) -> None:
    with witness("wanda", log_vkey) as absent:
        trust(policy_path, absent)
    append_all(range(2))
    leader = sequencer()
    leader.cycle()
    first = shown()
    assert ledger.newest_checkpoint().witnesses == 0
    with witness("wanda", log_vkey) as present:
        trust(policy_path, present)
        ask_again(leader)
        assert leader.cycle() == 0
    head = ledger.newest_checkpoint()
    assert (head.size, head.witnesses) == (2, 1)
    assert shown() == head.note != first
    assert whole() == 2


@pytest.fixture
def drip() -> Iterator[socket.socket]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def question(wanda: Witness, url: str) -> Request:
    note = ledger.newest_checkpoint().note
    return Request(vkey=wanda.vkey, url=url, old=0, size=0, note=note)


def test_a_late_answer_is_cut_off_and_its_thread_ends(
    opened: None, wanda: Witness, drip: socket.socket
) -> None:
    slept = [0.0]
    asking = Asking(10, timeout_s=600, clock=lambda: time.monotonic() + slept[0])
    request = question(wanda, f"http://127.0.0.1:{drip.getsockname()[1]}")
    assert asking.ask([request], lambda old: [], lambda found: True) == []
    cut = [request.late]
    slept[0] = 601
    assert asking.late() == []
    assert [*cut, request.late] == [False, True]
    join_all()
    assert asking.late() == []


def test_a_witness_that_takes_a_connection_and_says_nothing_costs_its_time_and_no_more(
    opened: None, wanda: Witness, drip: socket.socket
) -> None:
    asking = Asking(10, timeout_s=0.1)
    request = question(wanda, f"http://127.0.0.1:{drip.getsockname()[1]}")
    assert asking.ask([request], lambda old: [], lambda found: False) == []
    join_all()
    assert asking.late() == []


def test_a_witness_that_still_thinks_is_not_asked_again(
    opened: None, wanda: Witness, drip: socket.socket
) -> None:
    asking = Asking(0, timeout_s=20)
    key = PolicyKey(vkey=wanda.vkey, url=f"http://127.0.0.1:{drip.getsockname()[1]}")
    assert asking.may_ask(key)
    # The quorum is met without her: she has 200 ms, and is then left to think.
    asking.ask([question(wanda, key.url)], lambda old: [], lambda found: True)
    assert not asking.may_ask(key)
    asking.cut_all()
    join_all()
    assert asking.late() == []
    assert not asking.may_ask(key)  # she did not cosign: some seconds of peace
    assert not Asking(0).may_ask(PolicyKey(vkey=wanda.vkey))


def test_whatever_happens_to_a_question_its_end_is_noticed(opened: None, wanda: Witness) -> None:
    asking = Asking(0)

    def prove(old: int) -> list[bytes]:
        raise UnavailableError("a tile is missing")

    assert asking.ask([question(wanda, wanda.url)], prove, lambda found: False) == []
    assert wanda.requests == []
    join_all()


def test_a_request_that_is_cut_before_it_is_connected_is_not_sent(
    opened: None, wanda: Witness
) -> None:
    request = question(wanda, wanda.url)
    request.cut()
    with pytest.raises(TimeoutError):
        request.ask(lambda old: [], 1.0)
    assert wanda.requests == []


def test_https_is_spoken_where_the_policy_says_so(opened: None, wanda: Witness) -> None:
    request = question(wanda, wanda.url.replace("http:", "https:"))
    with pytest.raises(OSError, match="SSL"):
        request.ask(lambda old: [], 1.0)


# ---------------------------------------------------------------- how often


def test_whoever_is_on_this_machine_is_near() -> None:
    near = ("http://localhost/w", "http://127.0.0.1:1/w", "http://[::1]:1/w", "https://127.9.9.9")
    far = ("https://witness.example.org", "http://127.1", "http://10.0.0.1", "localhost", "")
    assert [is_near(url) for url in (*near, *far)] == [True] * 4 + [False] * 5


def test_a_strangers_witness_is_asked_once_in_the_interval_and_then_for_the_newest_tree(
    opened: None, wanda: Witness, policy_path: Path
) -> None:
    write_policy(
        policy_path, {"wanda": PolicyKey(vkey=wanda.vkey, url=wanda.strange_url)}, quorum="wanda"
    )
    now = [100.0]
    asking = Asking(10, clock=lambda: now[0])
    leader = sequencer(asking=asking)
    assert len(wanda.requests) == 1
    for number in range(3):
        append_all(range(number, number + 1))
        assert leader.cycle() == 1
    now[0] += 9.9
    leader.cycle()
    sequencer(asking=asking)  # a hold is no reason to ask a stranger more often
    assert len(wanda.requests) == 1
    assert ledger.newest_checkpoint().witnesses == 0
    leader = sequencer(asking=asking)
    now[0] += 0.1
    assert leader.cycle() == 0  # nothing grew since
    assert [request.split(b"\n")[0] for request in wanda.requests] == [b"old 0", b"old 0"]
    assert wanda.store.states["localhost"].size == 3
    assert ledger.newest_checkpoint().witnesses == 1
    assert shown() == ledger.newest_checkpoint().note
    now[0] += 20
    leader.cycle()
    assert len(wanda.requests) == 2  # nothing is missing


def test_when_the_quorum_is_met_nobody_waits_for_the_slow_one_whose_line_comes_later(
    opened: None, log_vkey: VKey, policy_path: Path
) -> None:
    with witness("wanda", log_vkey) as wanda, witness("wim", log_vkey) as wim:
        trust(policy_path, wanda, wim)
        wim.hang.clear()
        leader = sequencer(asking=Asking(10, timeout_s=60))
        append_all(range(2))
        started = time.monotonic()
        leader.cycle()
        assert time.monotonic() - started < 30  # and not the whole minute
        first = ledger.newest_checkpoint()
        assert (first.size, first.witnesses) == (2, 1)
        append_all(range(2, 3))
        leader.cycle()
        wim.hang.set()
        join_all()
        leader.cycle()
        # He had been asked about the empty tree, before anything was slow about it.
        assert Cosignature.objects.get(witness="wim").checkpoint.size == 0
        ask_again(leader)
        leader.cycle()
        assert (ledger.newest_checkpoint().size, ledger.newest_checkpoint().witnesses) == (3, 2)
        assert shown() == ledger.newest_checkpoint().note
    assert whole() == 3


# ---------------------------------------------------------------- several, and receipts


def test_two_witnesses_under_one_name_are_two(
    opened: None, log_vkey: VKey, policy_path: Path
) -> None:
    with witness("w", log_vkey) as old, witness("w", log_vkey, secret="new") as new:
        keys = {"old": old, "new": new}
        policy = TlogPolicy(
            logs=(),
            witnesses={name: PolicyKey(vkey=one.vkey, url=one.url) for name, one in keys.items()},
            groups={"both": Group(threshold=2, members=("old", "new"))},
            quorum="both",
        )
        policy_path.write_bytes(render_policy(policy))
        new.lie = Answer(status=500, body=b"")
        (entry,) = append_all(range(1))
        leader = sequencer()
        leader.cycle()
        assert ledger.newest_checkpoint().witnesses == 1
        new.lie = None
        ask_again(leader)
        leader.cycle()
        rows = Cosignature.objects.filter(checkpoint__size=1).values_list("witness", "key_id")
        assert set(rows) == {("w", one.vkey.key_id.hex()) for one in (old, new)}
        assert old.vkey.key_id != new.vkey.key_id
        assert ledger.newest_checkpoint().witnesses == 2
        assert len(verified(entry, 0).checkpoint.witnesses) == 2
        assert [len(one.requests) for one in (old, new)] == [2, 2]
    assert whole() == 1


def test_one_of_two_cosigns_and_the_quorum_of_both_is_not_met(
    opened: None, log_vkey: VKey, policy_path: Path
) -> None:
    with witness("wanda", log_vkey) as wanda, witness("wim", log_vkey) as wim:
        keys = {one.name: PolicyKey(vkey=one.vkey, url=one.url) for one in (wanda, wim)}
        policy = TlogPolicy(
            logs=(),
            witnesses=keys,
            groups={"both": Group(threshold=2, members=("wanda", "wim"))},
            quorum="both",
        )
        policy_path.write_bytes(render_policy(policy))
        wim.lie = Answer(status=500, body=b"")
        (entry,) = append_all(range(1))
        leader = sequencer()
        leader.cycle()
        head = ledger.newest_checkpoint()
        assert (head.witnesses, head.quorum) == (1, 2)
        with pytest.raises(VerificationError, match="quorum"):
            verified(entry, 0)
        wim.lie = None
        ask_again(leader)
        leader.cycle()
        assert ledger.newest_checkpoint().witnesses == 2
        assert len(verified(entry, 0).checkpoint.witnesses) == 2


def test_a_receipt_takes_the_newest_checkpoint_that_a_quorum_saw(
    opened: None, wanda: Witness
) -> None:
    (entry,) = append_all(range(1))
    sequence()
    wanda.lie = Answer(status=500, body=b"")
    (later,) = append_all(range(1, 2))
    sequence()
    assert ledger.newest_checkpoint().size == 2
    assert ledger.entry_status(entry).checkpoint_size == 1
    assert verified(entry, 0).checkpoint.checkpoint.size == 1
    # Nobody saw the later entry yet: the receipt says so by having no cosignature.
    assert ledger.entry_status(later).checkpoint_size == 2
    assert ledger.entry_status(later).witnesses == 0


def test_below_the_quorum_the_newest_checkpoint_is_taken(
    opened: None, wanda: Witness, log_vkey: VKey, policy_path: Path
) -> None:
    (entry,) = append_all(range(1))
    sequence()
    with witness("wim", log_vkey) as wim:
        trust(policy_path, wim, wanda)
        wim.lie = wanda.lie = Answer(status=500, body=b"")
        append_all(range(1, 2))
        sequence()
        assert ledger.entry_status(entry).checkpoint_size == 2


def test_a_witness_without_an_address_is_not_asked(
    opened: None, wanda: Witness, policy_path: Path
) -> None:
    write_policy(policy_path, {"wanda": PolicyKey(vkey=wanda.vkey)}, quorum="none")
    append_all(range(1))
    sequence()
    assert wanda.requests == []


def test_a_line_that_was_stored_and_not_shown_is_shown_after_a_restart(
    opened: None, wanda: Witness
) -> None:
    append_all(range(1))
    leader = sequencer()
    wanda.lie = Answer(status=500, body=b"")
    leader.cycle()
    wanda.lie = None
    ask_again(leader)
    leader._cosign(Checkpoint.objects.latest())  # and the process ends here
    assert shown() != ledger.newest_checkpoint().note
    sequencer()
    assert shown() == ledger.newest_checkpoint().note


# ---------------------------------------------------------------- what is no answer


def test_a_malformed_answer_to_the_retry_is_an_error_like_any_other(
    opened: None, wanda: Witness
) -> None:
    with pytest.raises(FormatError):
        read_answer(ledger.newest_checkpoint().note, b"\xff\n", wanda.vkey)


@pytest.mark.parametrize("url", ["http://127.0.0.1:port", "http://127.0.0.1:99999", "http://[::1"])
def test_an_address_that_is_none_costs_one_witness_and_not_the_sequencer(
    opened: None, wanda: Witness, policy_path: Path, url: str
) -> None:
    wrong = Ed25519PrivateKey.from_private_bytes(b"w" * 32).public_key()
    keys = {
        "wanda": PolicyKey(vkey=wanda.vkey, url=wanda.url),
        "wrong": PolicyKey(vkey=vkey_for("wrong", wrong, COSIGNATURE), url=url),
    }
    write_policy(policy_path, keys, quorum="wanda")
    append_all(range(1))
    sequence()
    assert ledger.newest_checkpoint().witnesses == 1
