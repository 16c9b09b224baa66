"""Checkpoints in a row: only what a quorum cosigned draws lots, and each only once it is time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from assay.note import VKey
from assay.policy import Group, PolicyKey, TlogPolicy, render_policy
from assay.witness import Answer
from ledger.models import Checkpoint, Entry
from ledger.services.witnessed import execution_entries, first_witnessed
from tests.ledger.builders import append_all, sequence
from tests.ledger.witness import TIME, Witness, witness

AT = datetime.fromtimestamp(TIME, UTC)
SECOND = timedelta(seconds=1)


def grow(size: int) -> None:
    """Append up to `size` entries, and publish a checkpoint over them."""
    append_all(range(Entry.objects.count(), size))
    sequence()


def test_without_a_policy_the_next_checkpoint_is_taken(opened: None) -> None:
    assert first_witnessed("localhost", 0) is None
    grow(2)
    grow(5)
    found = first_witnessed("localhost", 0)
    assert found is not None
    assert (found.size, found.witnesses) == (2, ())
    assert found.text.startswith("localhost\n2\n")
    later = first_witnessed("localhost", 2)
    assert later is not None
    assert later.size == 5
    assert later.at == Checkpoint.objects.get(size=5).signed_at
    assert first_witnessed("localhost", 5) is None


def test_without_a_policy_the_time_is_the_logs_own(opened: None) -> None:
    grow(1)
    at = Checkpoint.objects.get(size=1).signed_at
    assert first_witnessed("localhost", 0, not_before=at) is not None
    assert first_witnessed("localhost", 0, not_before=at + SECOND) is None


def test_a_checkpoint_draws_once_the_witness_has_signed_it(opened: None, wanda: Witness) -> None:
    wanda.lie = Answer(status=500, body=b"")
    grow(2)
    assert first_witnessed("localhost", 0) is None
    wanda.lie = None
    sequence()  # whoever leads next asks again
    found = first_witnessed("localhost", 0)
    assert found is not None
    assert (found.size, [line.name for line in found.witnesses]) == (2, ["wanda"])


def test_the_time_is_the_witnesss_word(opened: None, wanda: Witness) -> None:
    grow(3)
    found = first_witnessed("localhost", 0, not_before=AT)
    assert found is not None
    assert found.at == AT
    assert first_witnessed("localhost", 0, not_before=AT + SECOND) is None


def test_of_two_witnesses_the_earlier_time_counts(opened: None, wanda: Witness) -> None:
    grow(3)
    row = Checkpoint.objects.get(size=3)
    line = row.cosignatures.get()
    row.cosignatures.create(
        witness="stranger", key_id="00000000", line=line.line, seen_at=AT + 9 * SECOND
    )
    # Some line is late enough; the policy's own is not.
    assert first_witnessed("localhost", 0, not_before=AT + SECOND) is None


def test_enough_lines_of_the_wrong_witnesses_are_no_quorum(
    opened: None, log_vkey: VKey, policy_path: Path
) -> None:
    with witness("wanda", log_vkey) as one, witness("walt", log_vkey) as two:
        keys = {each.name: PolicyKey(vkey=each.vkey, url=each.url) for each in (one, two)}
        needed = Group(threshold=1, members=("walt",))
        policy = TlogPolicy(logs=(), witnesses=keys, groups={"west": needed}, quorum="west")
        policy_path.write_bytes(render_policy(policy))
        two.lie = Answer(status=500, body=b"")
        grow(2)
        assert [line.witness for line in Checkpoint.objects.get(size=2).cosignatures.all()] == [
            "wanda"
        ]
        assert first_witnessed("localhost", 0) is None


def test_only_statements_about_executions_take_part(opened: None) -> None:
    grow(3)
    assert execution_entries("localhost", 0, 3) == {}
