"""The Merkle tree of RFC 6962 and RFC 9162: computing, checking and making proofs.

The rules:

1. A leaf is hashed with the prefix 00, an inner node with 01; neither can pass for the other.
2. Every hash is 32 bytes. A hash of another length, a negative number, a size of 2^63 or more, and
   more than 63 hashes are not the format; everything else that is wrong is a lie.
3. A proof has exactly one length for its sizes. A hash too few or too many is refused, and so is a
   hash that is implied (the old root, when the old size is a power of two).
4. A proof is computed and then compared with a root that the caller got from signed text.

    check_inclusion(leaf_hash(entry), 256, 259, proof, checkpoint.root)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from assay.digests import SHA256_BYTES, sha256
from assay.errors import FormatError, MisuseError, VerificationError
from assay.limits import LIMITS

MAX_SIZE = 2**63
EMPTY_ROOT: bytes = sha256(b"")


class HashReader(Protocol):
    """Where the maker of a proof gets the hashes of complete subtrees."""

    def read(self, level: int, index: int) -> bytes:
        """Return the hash of the complete subtree over the 2^`level` leaves number `index`.

        The subtree holds the leaves from `index` · 2^`level` on. Raises `UnavailableError` when
        the hash cannot be had.
        """


def leaf_hash(entry: bytes) -> bytes:
    """Return the 32-byte leaf hash SHA-256(00 ‖ entry) (RFC 9162, section 2.1.1)."""
    return sha256(b"\x00" + entry)


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the 32-byte node hash SHA-256(01 ‖ left ‖ right) (RFC 9162, section 2.1.1)."""
    return sha256(b"\x01" + left + right)


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root over `leaves`, which are 32-byte leaf hashes; all are held in memory."""
    if not leaves:
        return EMPTY_ROOT
    row = list(leaves)
    while len(row) > 1:
        # A hash without a neighbour moves up unchanged, which is the split of RFC 9162.
        odd = row[-1:] if len(row) % 2 else []
        row = [node_hash(*pair) for pair in zip(row[::2], row[1::2], strict=False)] + odd
    return row[0]


def _check_format(sizes: Sequence[int], hashes: Sequence[bytes], proof: Sequence[bytes]) -> None:
    if len(proof) > LIMITS.proof_hashes:
        raise FormatError(f"a proof has at most {LIMITS.proof_hashes} hashes")
    if any(not 0 <= size < MAX_SIZE for size in sizes):
        raise FormatError("an index or tree size is between 0 and 2^63 - 1")
    if any(len(value) != SHA256_BYTES for value in (*hashes, *proof)):
        raise FormatError("a hash is 32 bytes")


def inclusion_root(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Return the root that `proof` gives for `leaf` as entry `index` of a tree of `size` leaves.

    `leaf` and the items of `proof` are 32-byte SHA-256 values; `proof` runs upward, the leaf's
    sibling first.

    Raises:
        FormatError: a hash of another length, more than 63 of them, or a number outside 0…2^63-1.
        VerificationError: the tree has no such entry, or its proofs have another length.

    RFC 9162, section 2.1.3.2.
    """
    _check_format((index, size), (leaf,), proof)
    if index >= size:
        raise VerificationError(
            "the tree has no such entry", expected=f"an index below {size}", found=str(index)
        )
    node, last, root = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise VerificationError("the inclusion proof is too long")
        if node & 1 or node == last:
            root = node_hash(sibling, root)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise VerificationError("the inclusion proof is too short")
    return root


def check_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that `leaf` is entry `index` of the tree of `size` leaves under `root`.

    `leaf`, `root` and the items of `proof` are 32-byte SHA-256 values; `proof` runs upward.

    Raises:
        FormatError: a hash of another length, more than 63 of them, or a number outside 0…2^63-1.
        VerificationError: no such entry, another proof length, or another root.

    RFC 9162, section 2.1.3.2.
    """
    _check_format((), (root,), ())
    _compare(
        "the inclusion proof gives another root", root, inclusion_root(leaf, index, size, proof)
    )


def check_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree of `new_size` leaves begins with the tree of `old_size` leaves.

    Both roots and the items of `proof` are 32-byte SHA-256 values. From an empty tree, and between
    equal sizes, the proof is empty.

    Raises:
        FormatError: a hash of another length, more than 63 of them, or a number outside 0…2^63-1.
        VerificationError: the tree shrank, another proof length, or another root.

    RFC 9162, section 2.1.4.2.
    """
    _check_format((old_size, new_size), (old_root, new_root), proof)
    for size, root in ((old_size, old_root), (new_size, new_root)):
        if size == 0:
            _compare("the empty tree has another root", EMPTY_ROOT, root)
    if old_size > new_size:
        raise VerificationError(
            "the tree shrank", expected=f"at least {old_size} leaves", found=str(new_size)
        )
    if old_size in (0, new_size):
        if proof:
            raise VerificationError("the consistency proof is too long")
        if old_size:
            _compare("two roots for one tree size", old_root, new_root)
        return
    old, new = _consistency_roots(old_size, old_root, new_size, proof)
    _compare("the consistency proof gives another old root", old_root, old)
    _compare("the consistency proof gives another new root", new_root, new)


def _consistency_roots(
    old_size: int, old_root: bytes, new_size: int, proof: Sequence[bytes]
) -> tuple[bytes, bytes]:
    """Return both roots that `proof` gives, for 0 < `old_size` < `new_size`."""
    # The old tree of a power of two is itself a node of the new tree, hence implied.
    hashes = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    if not hashes:
        raise VerificationError("the consistency proof is too short")
    node, last = old_size - 1, new_size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise VerificationError("the consistency proof is too long")
        if node & 1 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise VerificationError("the consistency proof is too short")
    return old, new


def _compare(message: str, expected: bytes, found: bytes) -> None:
    if expected != found:
        raise VerificationError(message, expected=expected.hex(), found=found.hex())


def _range_root(start: int, end: int, reader: HashReader) -> bytes:
    """Return the root over leaves `start`…`end`-1, a range that RFC 9162's split produces."""
    parts = []
    while start < end:
        level = (end - start).bit_length() - 1
        parts.append(reader.read(level, start >> level))
        start += 1 << level
    root = parts.pop()
    while parts:
        root = node_hash(parts.pop(), root)
    return root


def _split(count: int) -> int:
    """Return the largest power of two below `count`, which is at least 2."""
    return 1 << ((count - 1).bit_length() - 1)


def root_from(size: int, reader: HashReader) -> bytes:
    """Return the 32-byte root of the tree of `size` leaves."""
    return _range_root(0, size, reader) if size else EMPTY_ROOT


def prove_inclusion(index: int, size: int, reader: HashReader) -> list[bytes]:
    """Return the inclusion proof of entry `index` in the tree of `size` leaves, upward.

    Raises:
        MisuseError: the tree has no such entry.

    RFC 9162, section 2.1.3.1.
    """
    if not 0 <= index < size:
        raise MisuseError(f"a tree of {size} leaves has no entry {index}")
    proof, start, end = [], 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(_range_root(middle, end, reader))
            end = middle
        else:
            proof.append(_range_root(start, middle, reader))
            start = middle
    return proof[::-1]


def prove_consistency(old: int, new: int, reader: HashReader) -> list[bytes]:
    """Return the proof that the tree of `new` leaves begins with the tree of `old` leaves.

    Raises:
        MisuseError: `old` is negative or above `new`.

    RFC 9162, section 2.1.4.1.
    """
    if not 0 <= old <= new:
        raise MisuseError(f"a tree of {new} leaves does not begin with one of {old}")
    if old in (0, new):
        return []
    proof, start, end = [], 0, new
    while end > old:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(_range_root(middle, end, reader))
            end = middle
        else:
            proof.append(_range_root(start, middle, reader))
            start = middle
    if start:
        proof.append(_range_root(start, old, reader))
    return proof[::-1]
