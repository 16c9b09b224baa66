"""Checkpoints: what a log says about itself, in three lines (C2SP tlog-checkpoint).

    ledger.example.org
    259
    4Cuo9axNy+yfivXvmtH2ovSbbd4kwY0VTYolVlDrEV0=

The text is parsed, printed again and compared, so each checkpoint has one spelling. Extension lines
are read and never written. Nothing here verifies a signature: `policy.verify_checkpoint` does, and
`VerifiedCheckpoint` is what it returns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from assay.canonical import decode_base64, encode_base64, parse_decimal
from assay.digests import SHA256_BYTES
from assay.errors import FormatError, MisuseError
from assay.limits import LIMITS

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_KEPT = 16  # receipts of one second share a checkpoint
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The tree of `size` leaves under the 32-byte `root`, in the log named `origin`."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The text that is signed; every line ends in a newline."""
        lines = (self.origin, str(self.size), encode_base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


@lru_cache(maxsize=_KEPT)
def parse_checkpoint(text: str) -> Checkpoint:
    """Parse a checkpoint's text, strictly.

    Raises:
        FormatError: fewer than three lines, an empty line, a size that is not a plain decimal
            below 2^63, a root that is not canonical base64 of 32 bytes, or no newline at the end.

    Whether a tree of size 0 has its only root is a question for `policy.verify_checkpoint`.
    """
    lines = text.split("\n")[:-1]
    if len(lines) < 3 or not all(lines):
        raise FormatError("a checkpoint has an origin, a tree size, a root hash, no empty line")
    origin, size, root, *extensions = lines
    if len(origin.encode()) > LIMITS.origin:
        raise FormatError(f"an origin is at most {LIMITS.origin} bytes")
    checkpoint = Checkpoint(
        origin=origin,
        size=parse_decimal(size, "tree size"),
        root=decode_base64(root, "root hash"),
        extensions=tuple(extensions),
    )
    if len(checkpoint.root) != SHA256_BYTES or checkpoint.text != text:
        raise FormatError("a checkpoint has a root of 32 bytes and ends in a newline")
    return checkpoint


def is_origin(value: str) -> bool:
    """Say whether `value` is a bare host name in lower case, as our origins are."""
    return len(value) <= LIMITS.origin and _HOST.fullmatch(value) is not None


def check_origin(value: str) -> str:
    """Return `value`, the origin of a log of ours.

    Raises:
        MisuseError: not a bare host name in lower case: with a scheme, port, path, space or plus
            sign, stock clients read an origin as something else.
    """
    if not is_origin(value):
        raise MisuseError(f"an origin is a bare host name in lower case, not {value!r}")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedCheckpoint:
    """A checkpoint whose signatures were verified.

    `note` is the signed note, whole. `witnesses` are the policy's witnesses that cosigned: the
    name of the key and the time in POSIX seconds, in the policy's order.
    """

    checkpoint: Checkpoint
    note: bytes
    witnesses: tuple[tuple[str, int], ...]

    @property
    def witnessed_at(self) -> int | None:
        """The earliest cosignature in POSIX seconds: the tree existed by then."""
        return min((time for _, time in self.witnesses), default=None)
