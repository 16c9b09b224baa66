"""The witness policy of this installation: whom the log asks, and how many make a quorum.

The file is C2SP tlog-policy. Without one the log runs alone, and says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from django.conf import settings

from assay.errors import FormatError
from assay.note import SignatureLine
from assay.policy import NO_QUORUM, TlogPolicy, parse_policy
from ledger.errors import LedgerError


class WitnessPolicyError(LedgerError):
    """The file of the witness policy is malformed."""

    code = "witness_policy"


def witness_policy() -> TlogPolicy | None:
    """Return the policy, None when there is no file.

    Raises:
        WitnessPolicyError: the file is no policy.
    """
    path: Path = settings.WITNESS_POLICY
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return _parsed(path, found.st_mtime_ns, found.st_size, found.st_ino)


@lru_cache(maxsize=4)
def _parsed(path: Path, changed_ns: int, size: int, inode: int) -> TlogPolicy:
    """Parse a file once for each of its states."""
    try:
        return parse_policy(path.read_bytes())
    except FormatError as error:
        raise WitnessPolicyError(f"The witness policy is malformed: {error}.") from error


def witnesses_of(policy: TlogPolicy | None, lines: Iterable[SignatureLine]) -> list[str]:
    """Return the policy's names of the witnesses whose `lines` these are, in its order.

    Nothing is verified: the lines come from rows that were verified before they were written.
    """
    signers = {(line.name, line.key_id) for line in lines}
    known = policy.witnesses if policy else {}
    return [name for name, key in known.items() if (key.vkey.name, key.vkey.key_id) in signers]


def witnesses_needed(policy: TlogPolicy | None) -> int:
    """Return the least number of witnesses that make the quorum."""
    if policy is None or policy.quorum == NO_QUORUM:
        return 0
    needed = dict.fromkeys(policy.witnesses, 1)
    for name, group in policy.groups.items():
        cheapest = sorted(needed[member] for member in group.members)
        needed[name] = sum(cheapest[: group.threshold])
    return needed[policy.quorum]
