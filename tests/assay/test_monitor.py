"""Following a log: a fork, a rollback and a bad proof are told apart."""

from __future__ import annotations

import pytest

from assay.checkpoint import Checkpoint, VerifiedCheckpoint
from assay.errors import FormatError, MisuseError, SplitViewError, VerificationError
from assay.monitor import follow
from assay.note import VKey
from assay.policy import TlogPolicy, verify_checkpoint
from tests.assay.vectors import values, vector


@pytest.fixture
def seen(policy: TlogPolicy, log_vkey: VKey) -> dict[str, VerifiedCheckpoint]:
    """The vectors' checkpoints, by the end of their file name."""
    return {
        name: verify_checkpoint(
            vector(f"checkpoint{name}"), origin=log_vkey.name, log=log_vkey, policy=policy
        )
        for name in ("", ".200", ".late", ".fork")
    }


def proof(name: str) -> list[bytes]:
    log = values()["log"]
    found = log["late"] if name not in log else log
    return [bytes.fromhex(value) for value in found[name]]


def test_a_log_that_grows_is_followed(seen: dict[str, VerifiedCheckpoint]) -> None:
    follow(seen[".200"], seen[""], proof("consistency_200_259"))
    follow(seen[""], seen[".late"], proof("consistency_259_late"))
    follow(seen[""], seen[""], [])


def test_two_trees_of_one_size_are_a_split_view_with_both_notes_as_evidence(
    seen: dict[str, VerifiedCheckpoint],
) -> None:
    with pytest.raises(SplitViewError) as caught:
        follow(seen[""], seen[".fork"], [])
    assert (caught.value.first, caught.value.second) == (
        vector("checkpoint"),
        vector("checkpoint.fork"),
    )


def test_a_rollback_is_refused(seen: dict[str, VerifiedCheckpoint]) -> None:
    with pytest.raises(VerificationError, match="rolled back"):
        follow(seen[""], seen[".200"], proof("consistency_200_259"))


def test_a_fork_that_grew_cannot_be_proven_and_accuses_nobody(
    seen: dict[str, VerifiedCheckpoint],
) -> None:
    with pytest.raises(VerificationError) as caught:
        follow(seen[".fork"], seen[".late"], proof("consistency_259_late"))
    assert not isinstance(caught.value, SplitViewError)


def test_a_proof_of_other_hashes_is_malformed(seen: dict[str, VerifiedCheckpoint]) -> None:
    with pytest.raises(FormatError):
        follow(seen[".200"], seen[""], [b"short"])


def test_two_logs_cannot_be_compared(seen: dict[str, VerifiedCheckpoint]) -> None:
    other = VerifiedCheckpoint(
        checkpoint=Checkpoint(origin="other.example.org", size=1, root=bytes(32)),
        note=b"",
        witnesses=(),
    )
    with pytest.raises(MisuseError):
        follow(seen[""], other, [])
