"""What a reader asks for as one value, and step 14: how fresh the proof is.

What the step says, and what it does not:

1. The age is that of the proof: from the earliest cosignature under the claim's tree to the
   reader's `now`. The claim itself may be older; whoever has it may prove it again in a later tree.
2. With `max_age` an older proof is refused. A tree that no witness dated, or that was cosigned
   after `now`, has no age: that could not be checked. Clocks may differ by `MAX_SKEW_S`.
3. A revocation counts for the entries from its own index on, so whoever has read the log past the
   claim knows all that can concern it. `known_to` says how far the reader, and so their list of
   keys, has come. Up to there revocations are known; where the claim stands beyond, the step says
   so, and what to do about it. It refuses nothing for that: nobody can know.
4. `known_to` and the claim's tree are compared where both have one size; step 9 compares the rest.

    policy = Policy(witnesses=parse_policy(text), keys=parse_keys(document), max_age=3600, now=now)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from assay.checkpoint import Checkpoint, VerifiedCheckpoint
from assay.errors import MisuseError, SplitViewError, UnavailableError, VerificationError
from assay.policy import TlogPolicy, TrustedRoot, parse_policy
from assay.verify.keys import KeyRing, parse_keys
from assay.verify.steps import Report, Verified

MAX_SKEW_S = 300
NO_KEYS = KeyRing(keys=())
_LAST_SECOND = 253_402_300_799  # of the year 9999


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a reader trusts besides the logs, and how fresh a proof has to be.

    `witnesses` is the tlog-policy, None where no witness is asked for. `keys` are the signers that
    the reader knows, with role, owner and revocations. `max_age` is in seconds, None for any age;
    it needs `now`, in POSIX seconds. `known_to` is the newest verified checkpoint that the reader
    has, to which `keys` is up to date.
    """

    witnesses: TlogPolicy | None
    keys: KeyRing = NO_KEYS
    max_age: int | None = None
    now: int | None = None
    known_to: VerifiedCheckpoint | None = None

    @classmethod
    def parse(
        cls, *, witnesses: bytes, keys: bytes, max_age: int | None = None, now: int | None = None
    ) -> Self:
        """Read the two pinned files: a tlog-policy, and a document of keys.

        Raises:
            FormatError: one of them is not its format.
        """
        return cls(
            witnesses=parse_policy(witnesses), keys=parse_keys(keys), max_age=max_age, now=now
        )

    def check(self) -> None:
        """Check that the policy can be asked for.

        Raises:
            MisuseError: an age below 0, or an age and no time to count it from.
        """
        if self.max_age is not None and self.max_age < 0:
            raise MisuseError("an age is 0 seconds or more")
        if self.max_age is not None and self.now is None:
            raise MisuseError("an age is counted from now: say when that is")


def policy_of(policy: Policy | TlogPolicy | None) -> Policy:
    """Return what is asked for where only the witnesses, or not even they, are named."""
    return policy if isinstance(policy, Policy) else Policy(witnesses=policy)


def instant(seconds: int) -> str:
    """Return POSIX seconds as RFC 3339 in UTC; after the year 9999 as a number."""
    if seconds > _LAST_SECOND:
        return f"{seconds} s after 1970"
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def check_fresh(
    verified: Verified,
    policy: Policy,
    trusted_root: TrustedRoot,
    report: Report,
) -> None:
    """Step 14: how old the proof of a claim is, and how far revocations are known.

    Raises:
        VerificationError: older than the policy allows.
        SplitViewError: `known_to` and the claim's tree have one size and two roots.
        UnavailableError: an age is asked for, and no witness dated the tree, or a clock is wrong.
    """
    age = _check_age(verified.checkpoint.witnessed_at, policy)
    if verified.listed:
        known = _known(verified, policy.known_to, trusted_root)
    else:
        known = "revocations are not known of a key given by the caller"
    report.passed(14, "how fresh the proof is", f"{age}; {known}")


def _check_age(witnessed_at: int | None, policy: Policy) -> str:
    if witnessed_at is None:
        if policy.max_age is not None:
            raise UnavailableError("no witness dated the tree, so the age of the proof is unknown")
        return "no witness said when"
    when = f"cosigned at {instant(witnessed_at)}"
    if policy.now is None:
        return when
    age = policy.now - witnessed_at
    if policy.max_age is None:
        return f"{when}, {age} s before now"
    if age < -MAX_SKEW_S:
        raise UnavailableError(
            f"the tree was cosigned {-age} s after now: a clock is wrong, and the age is unknown"
        )
    if age > policy.max_age:
        raise VerificationError(
            "the proof is too old", expected=f"at most {policy.max_age} s", found=f"{age} s"
        )
    return f"{when}, {age} s before now, {policy.max_age} s allowed"


def _known(
    verified: Verified, known_to: VerifiedCheckpoint | None, trusted_root: TrustedRoot
) -> str:
    """Say how far revocations that could concern the claim are known."""
    if known_to is None:
        return "revocations are known as far as the reader's list goes, which names no tree"
    mine, theirs = verified.checkpoint.checkpoint, known_to.checkpoint
    if theirs.origin != mine.origin:
        return _known_elsewhere(mine.origin, theirs, trusted_root)
    if theirs.size == mine.size and theirs.root != mine.root:
        raise SplitViewError(
            f"{mine.origin} signed two trees of {mine.size} leaves",
            first=known_to.note,
            second=verified.checkpoint.note,
        )
    if theirs.size > verified.index:
        return f"revocations are known to {theirs.size} leaves, past this entry"
    return (
        f"revocations from index {theirs.size} to {verified.index} are not known: "
        "a newer checkpoint is needed"
    )


def _known_elsewhere(origin: str, known: Checkpoint, trusted_root: TrustedRoot) -> str:
    order = trusted_root.origins
    if known.origin in order and order.index(known.origin) > order.index(origin):
        return f"revocations are known to {known.size} leaves of the later log {known.origin}"
    return f"revocations in {origin} are not known: the reader's checkpoint is of {known.origin}"
