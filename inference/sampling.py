"""Which executions have to be replayed: lots drawn by a checkpoint that nobody could know before.

The log is cut into rounds at witnessed checkpoints. Of a round, entries `start` to `end`, the lots
are drawn by the first witnessed checkpoint that is larger than `end` and not too soon after it:

    seed     SHA-256 of the line assay-audit-v1, the checkpoint's text, an empty line, and the
             cosignature lines of the policy's witnesses, sorted; each line ends in a newline
    lot(i)   the first 8 bytes of SHA-256(seed, i as 8 bytes, big-endian), as a number

Entry `i`, a statement about an execution, is drawn when `lot(i) * rate < 2**64`; of a round with
executions at least the one with the smallest lot. The log's own signature is left out: who holds
its key could make many. A witness's cannot be known before it was given, and then the entries
already stand. All of it is in public bytes: anyone can draw again.
"""

from __future__ import annotations

from collections.abc import Iterable

from assay.digests import sha256
from assay.note import Note, SignatureLine, parse_note, render

HEADER = b"assay-audit-v1\n"
_WHOLE = 2**64


def note_to_draw_by(text: str, log: SignatureLine, witnesses: Iterable[SignatureLine]) -> bytes:
    """Return the signed note that a round keeps: the log's line, then the witnesses', sorted."""
    return render(Note(text=text, lines=(log, *sorted(witnesses, key=str))))


def seed_of(note: bytes) -> bytes:
    """Return the seed, 32 bytes, of a note that `note_to_draw_by` made.

    Raises:
        FormatError: it is no signed note.
    """
    parsed = parse_note(note)
    witnesses = "".join(str(line) for line in parsed.lines[1:])
    return sha256(HEADER + f"{parsed.text}\n{witnesses}".encode())


def lot(seed: bytes, index: int) -> int:
    """Return the lot of the entry at `index`, from 0 up to 2^64."""
    return int.from_bytes(sha256(seed + index.to_bytes(8, "big"))[:8], "big")


def drawn(seed: bytes, indices: Iterable[int], rate: int) -> list[int]:
    """Return those of `indices` on which a lot falls, one in `rate` and at least one, in order.

    `rate` 0 draws nothing.
    """
    if rate < 1:
        return []
    lots = {index: lot(seed, index) for index in indices}
    found = sorted(index for index, number in lots.items() if number * rate < _WHOLE)
    return found or sorted(lots, key=lambda index: lots[index])[:1]
