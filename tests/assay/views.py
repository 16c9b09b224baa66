"""Trees of a few leaves, and the checkpoints that a log signs over them."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assay.checkpoint import Checkpoint, VerifiedCheckpoint
from assay.merkle import leaf_hash, root_of
from assay.note import ED25519, Note, VKey, render, sign_line, vkey_for

ORIGIN = "ledger.example.org"
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(32))
LOG = vkey_for(ORIGIN, SIGNER.public_key(), ED25519)


class Leaves:
    """Reads the hashes of complete subtrees over leaf hashes held in memory."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.leaves = leaves

    def read(self, level: int, index: int) -> bytes:
        return root_of(self.leaves[index << level : (index + 1) << level])


def leaves_of(*entries: bytes) -> list[bytes]:
    return [leaf_hash(entry) for entry in entries]


def numbered(count: int, mark: bytes = b"") -> list[bytes]:
    """The leaves of an honest log of `count` entries; another `mark`, another log."""
    return leaves_of(*(b"%b%d" % (mark, number) for number in range(count)))


def note_over(
    leaves: Sequence[bytes],
    *,
    signer: Ed25519PrivateKey = SIGNER,
    origin: str = ORIGIN,
    size: int | None = None,
    extensions: tuple[str, ...] = (),
) -> bytes:
    """The signed checkpoint of the tree over `leaves`; `size` where it is to say another one."""
    checkpoint = Checkpoint(
        origin=origin,
        size=len(leaves) if size is None else size,
        root=root_of(leaves),
        extensions=extensions,
    )
    line = sign_line(checkpoint.text, origin, signer)
    return render(Note(text=checkpoint.text, lines=(line,)))


def view(leaves: Sequence[bytes], *, origin: str = ORIGIN) -> VerifiedCheckpoint:
    """The checkpoint over `leaves` as a reader holds it once its signature was verified."""
    checkpoint = Checkpoint(origin=origin, size=len(leaves), root=root_of(leaves))
    note = note_over(leaves, origin=origin)
    return VerifiedCheckpoint(checkpoint=checkpoint, note=note, witnesses=())


def vkey_of(signer: Ed25519PrivateKey, name: str = ORIGIN, kind: int = ED25519) -> VKey:
    return vkey_for(name, signer.public_key(), kind)
