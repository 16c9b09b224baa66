"""Step 14: how old a proof is, how far revocations are known, and what cannot be known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from assay.checkpoint import VerifiedCheckpoint
from assay.errors import (
    FormatError,
    MisuseError,
    SplitViewError,
    UnavailableError,
    VerificationError,
)
from assay.merkle import leaf_hash, root_of
from assay.policy import (
    TlogPolicy,
    TrustedRoot,
    parse_trusted_root,
    verify_checkpoint,
)
from assay.verify import KeyRing, Policy, TrustedKey, Verified, verify_receipt
from assay.verify.fresh import MAX_SKEW_S, instant
from tests.assay import claims
from tests.assay.vectors import vector

ROOT = parse_trusted_root(vector("trusted_root.json"))
KEY = TrustedKey(key=claims.public_key(), role="executor", owner="", index=0)
SEEN = claims.TIME + 1  # the earlier of the two cosignatures


def known(size: int, root: bytes = bytes(32)) -> VerifiedCheckpoint:
    note = claims.checkpoint(size, root)
    return verify_checkpoint(note, origin=claims.ORIGIN, log=ROOT.logs[0].vkey, policy=None)


def verify(policy: Policy | TlogPolicy | None, **changed: Any) -> Verified:
    question: dict[str, Any] = {"key": KEY, "trusted_root": ROOT, **changed}
    return verify_receipt(claims.receipt_of(claims.execution()), policy=policy, **question)


def step_14(policy: Policy | TlogPolicy | None, **changed: Any) -> str:
    step = verify(policy, **changed).steps[-1]
    assert (step.number, step.name) == (14, "how fresh the proof is")
    return step.detail


def test_the_step_says_when_witnesses_saw_the_tree(policy: TlogPolicy) -> None:
    listed = "revocations are known as far as the reader's list goes, which names no tree"
    assert step_14(policy) == f"cosigned at 2026-01-01T00:00:01Z; {listed}"
    assert step_14(None) == f"no witness said when; {listed}"
    asked = Policy(witnesses=policy, now=SEEN + 60)
    assert step_14(asked).startswith("cosigned at 2026-01-01T00:00:01Z, 60 s before now; ")


def test_a_proof_older_than_alice_asks_for_is_refused(policy: TlogPolicy) -> None:
    asked = Policy(witnesses=policy, max_age=60, now=SEEN + 60)
    assert "60 s before now, 60 s allowed; " in step_14(asked)
    with pytest.raises(VerificationError, match=r"too old \(expected at most 60 s, found 61 s\)"):
        verify(replace(asked, now=SEEN + 61))


def test_an_age_that_nobody_can_know_is_not_checked(policy: TlogPolicy) -> None:
    with pytest.raises(UnavailableError, match="no witness dated the tree"):
        verify(Policy(witnesses=None, max_age=60, now=SEEN))
    asked = Policy(witnesses=policy, max_age=60, now=SEEN - MAX_SKEW_S)
    assert f"{-MAX_SKEW_S} s before now" in step_14(asked)
    with pytest.raises(UnavailableError, match=r"cosigned 301 s after now: a clock is wrong"):
        verify(replace(asked, now=SEEN - MAX_SKEW_S - 1))


def test_an_age_needs_a_now_and_is_not_below_nothing(policy: TlogPolicy) -> None:
    with pytest.raises(MisuseError, match="say when that is"):
        verify(Policy(witnesses=policy, max_age=60))
    with pytest.raises(MisuseError, match="0 seconds or more"):
        verify(Policy(witnesses=policy, max_age=-1, now=SEEN))


def test_revocations_are_known_as_far_as_the_readers_checkpoint(policy: TlogPolicy) -> None:
    asked = Policy(witnesses=policy, keys=KeyRing(keys=(KEY,)))
    past = replace(asked, known_to=known(2))
    assert "revocations are known to 2 leaves, past this entry" in step_14(past)
    short = replace(asked, known_to=known(1))
    assert "revocations from index 1 to 1 are not known: a newer checkpoint" in step_14(short)
    given = "revocations are not known of a key given by the caller"
    assert given in step_14(past, key=claims.public_key())


def test_a_checkpoint_of_another_log_knows_what_came_before_it(policy: TlogPolicy) -> None:
    later = replace(known(9), checkpoint=replace(known(9).checkpoint, origin="log2.example.org"))
    second = replace(ROOT.logs[0], origin="log2.example.org", key_id32=bytes(32))
    asked = Policy(witnesses=policy, known_to=later)
    both = TrustedRoot(logs=(*ROOT.logs, second))
    words = "revocations are known to 9 leaves of the later log log2.example.org"
    assert words in step_14(asked, trusted_root=both)
    words = "revocations in ledger.example.org are not known: the reader's checkpoint is of log2"
    assert words in step_14(asked, trusted_root=TrustedRoot(logs=(second, *ROOT.logs)))
    assert words in step_14(asked)


def test_two_trees_of_one_size_are_a_split_view(policy: TlogPolicy) -> None:
    mine = root_of([leaf_hash(b"x")] * 3)
    with pytest.raises(SplitViewError, match="two trees of 3 leaves") as caught:
        verify(Policy(witnesses=policy, known_to=known(3, mine)))
    assert caught.value.first == known(3, mine).note
    true = verify(policy).checkpoint
    assert "known to 3 leaves" in step_14(Policy(witnesses=policy, known_to=true))


def test_a_policy_is_read_from_the_two_pinned_files() -> None:
    text, keys = vector("witness-policy.txt"), b'{"keys":[]}'
    asked = Policy.parse(witnesses=text, keys=keys, max_age=60, now=SEEN)
    assert verify(asked).steps
    assert asked.keys == KeyRing(keys=())
    with pytest.raises(FormatError):
        Policy.parse(witnesses=text, keys=b"{}")


def test_times_that_no_calendar_has_are_told_as_numbers() -> None:
    assert instant(253_402_300_799) == "9999-12-31T23:59:59Z"
    assert instant(253_402_300_800) == "253402300800 s after 1970"
