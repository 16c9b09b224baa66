"""Following a log: what was once signed must stay true.

`follow` judges two verified checkpoints of one log, the one remembered and the one just fetched.
The caller remembers the new one only after `follow` returned.
"""

from __future__ import annotations

from collections.abc import Sequence

from assay.checkpoint import VerifiedCheckpoint
from assay.errors import MisuseError, SplitViewError, VerificationError
from assay.merkle import check_consistency


def follow(remembered: VerifiedCheckpoint, new: VerifiedCheckpoint, proof: Sequence[bytes]) -> None:
    """Check that the log still says what it said: `new` extends `remembered`.

    `proof` is the consistency proof, 32-byte hashes, empty between equal sizes.

    Raises:
        MisuseError: checkpoints of two logs.
        SplitViewError: two roots for one tree size; it carries both notes as evidence.
        VerificationError: the log shrank, or the proof does not show that it grew from the
            remembered tree. A proof is not signed, so a wrong one accuses nobody.
        FormatError: a proof that is none.
    """
    old, now = remembered.checkpoint, new.checkpoint
    if old.origin != now.origin:
        raise MisuseError(f"checkpoints of two logs: {old.origin} and {now.origin}")
    if old.size == now.size and old.root != now.root:
        raise SplitViewError(
            f"{old.origin} signed two trees of size {old.size}",
            first=remembered.note,
            second=new.note,
        )
    if now.size < old.size:
        raise VerificationError(
            f"{old.origin} rolled back", expected=f"at least {old.size}", found=str(now.size)
        )
    check_consistency(old.size, old.root, now.size, now.root, proof)
