"""A witness: cosign only what extends the remembered checkpoint (C2SP tlog-witness).

The rules:

1. A cosignature says: at this time this was the largest consistent tree that I saw for this origin.
   So the new state is stored, durably, **before** the cosignature leaves.
2. Compare and store are one step (`WitnessStore.swap`). Two requests at once end in one state, and
   the loser is told the size to start from.
3. A state never shrinks and never changes its root at one size, whatever the log signs.
4. Only lines of the log's known key are kept; strangers' lines are dropped.

The order of the checks, which gives the HTTP status, is in `add_checkpoint`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assay.canonical import decode_base64, encode_base64, parse_decimal
from assay.checkpoint import Checkpoint, parse_checkpoint
from assay.digests import SHA256_BYTES
from assay.errors import FormatError, VerificationError
from assay.limits import LIMITS
from assay.merkle import EMPTY_ROOT, check_consistency
from assay.note import Note, VKey, cosign_line, open_note, parse_note, render

TEXT = "text/plain; charset=utf-8"
SIZE_TEXT = "text/x.tlog.size"
_HASH_LINE_BYTES = 45
MAX_REQUEST = LIMITS.note + LIMITS.proof_hashes * _HASH_LINE_BYTES + 32


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessState:
    """The largest tree that a witness cosigned for one origin: size and 32-byte root."""

    size: int
    root: bytes


class WitnessStore(Protocol):
    """Where a witness remembers, for each origin."""

    def load(self, origin: str) -> WitnessState | None:
        """Return the state of `origin`, None when nothing was ever cosigned for it."""

    def swap(self, origin: str, old: WitnessState | None, new: WitnessState, note: bytes) -> bool:
        """Replace the state `old` by `new` and keep `note`, atomically and durably.

        Returns False, and changes nothing, when the state is not `old` any more.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCheckpoint:
    """A request: the tree size that the log thinks the witness has, a proof, the signed note."""

    old: int
    proof: tuple[bytes, ...]
    note: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer: status, body, content type."""

    status: int
    body: bytes
    content_type: str = TEXT


def parse_add_checkpoint(body: bytes) -> AddCheckpoint:
    """Parse the body of `POST …/add-checkpoint`; the note stays as it is.

    Raises:
        FormatError: above `MAX_REQUEST` bytes, no `old` line, more than 63 hashes, a hash that is
            not canonical base64 of 32 bytes, or no empty line.
    """
    if len(body) > MAX_REQUEST:
        raise FormatError(f"a request is at most {MAX_REQUEST} bytes")
    head, empty_line, note = body.partition(b"\n\n")
    try:
        first, *hashes = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise FormatError("the lines above the checkpoint are ASCII") from error
    if not empty_line or not first.startswith("old "):
        raise FormatError("a request is a line with the old size, hashes, an empty line, a note")
    if len(hashes) > LIMITS.proof_hashes:
        raise FormatError(f"a proof has at most {LIMITS.proof_hashes} hashes")
    proof = tuple(decode_base64(line, "proof") for line in hashes)
    if any(len(value) != SHA256_BYTES for value in proof):
        raise FormatError("a hash is 32 bytes", "proof")
    return AddCheckpoint(
        old=parse_decimal(first.removeprefix("old "), "old"), proof=proof, note=note
    )


def render_add_checkpoint(old: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """Return the body that submits `note` with the consistency proof from size `old`."""
    lines = [f"old {old}", *(encode_base64(value) for value in proof)]
    return "".join(f"{line}\n" for line in lines).encode() + b"\n" + note


def add_checkpoint(
    body: bytes,
    *,
    logs: Mapping[str, VKey],
    store: WitnessStore,
    key: Ed25519PrivateKey,
    name: str,
    time: int,
) -> Answer:
    """Answer `POST …/add-checkpoint` as the witness `name` at `time`, in POSIX seconds.

    In this order: 400 the body does not parse; 404 unknown origin; 403 no line, or a bad one, of
    the log's key; 400 the old size is above the new one; 409 the old size is not the witness's,
    whose size is the body; 422 the tree does not extend the witness's; 200 with one cosignature
    line. `logs` gives the key for each origin.

    C2SP tlog-witness, "add-checkpoint".
    """
    try:
        request = parse_add_checkpoint(body)
        note = parse_note(request.note)
        checkpoint = parse_checkpoint(note.text)
    except FormatError as error:
        return _refusal(400, str(error))
    log = logs.get(checkpoint.origin)
    if log is None:
        return _refusal(404, "unknown origin")
    try:
        open_note(request.note, [log])
    except VerificationError as error:
        return _refusal(403, str(error))
    if request.old > checkpoint.size:
        return _refusal(400, "the old size is above the size")
    state = store.load(checkpoint.origin)
    if request.old != _size(state):
        return _conflict(state)
    try:
        _check_extends(state, checkpoint, request.proof)
    except VerificationError as error:
        return _refusal(422, str(error))
    line = cosign_line(note.text, name, key, time)
    kept = [own for own in note.lines if (own.name, own.key_id) == (log.name, log.key_id)]
    signed = render(Note(text=note.text, lines=(*kept[:1], line)))
    new = WitnessState(size=checkpoint.size, root=checkpoint.root)
    if not store.swap(checkpoint.origin, state, new, signed):
        return _conflict(store.load(checkpoint.origin))
    return Answer(status=200, body=str(line).encode())


def _size(state: WitnessState | None) -> int:
    return state.size if state else 0


def _check_extends(
    state: WitnessState | None, checkpoint: Checkpoint, proof: Sequence[bytes]
) -> None:
    root = state.root if state else EMPTY_ROOT
    check_consistency(_size(state), root, checkpoint.size, checkpoint.root, proof)


def _refusal(status: int, message: str) -> Answer:
    return Answer(status=status, body=f"{message}\n".encode())


def _conflict(state: WitnessState | None) -> Answer:
    return Answer(status=409, body=f"{_size(state)}\n".encode(), content_type=SIZE_TEXT)
