"""Portable evidence that a log signed two trees that cannot be one.

A stranger checks it with the log's key alone: two signatures, and hashes. Nobody needs to be
trusted, and nothing needs to be fetched. Two forms:

1. Two signed checkpoints of one size with different roots.
2. Two signed checkpoints of different sizes, and the hashes of complete subtrees of the **newer**
   tree: `left` covers its first `old.size` leaves, `right` the rest, both from left to right.
   Together they give the newer root, so they are the newer tree's. `left` alone gives the root that
   the older tree should have, and the older checkpoint has another.

The rules:

1. The hashes are those of `cover`: for two sizes there is one number of them, no more, no fewer.
2. They count only because they rebuild a root that the log signed. To forge evidence against a log
   that only grew takes a collision of SHA-256.
3. Two different texts over one tree (extension lines) are no fork, and an older view is none.

    evidence = parse_split_view(Path("split-view.json").read_bytes())
    print(check_split_view(evidence, VKey.parse(the_pinned_vkey)))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from assay.canonical import (
    as_list,
    as_object,
    as_text,
    canonical_json,
    decode_base64,
    encode_base64,
    parse_json,
)
from assay.checkpoint import Checkpoint, parse_checkpoint
from assay.digests import SHA256_BYTES
from assay.errors import FormatError, MisuseError, VerificationError
from assay.merkle import EMPTY_ROOT, HashReader, node_hash
from assay.note import ED25519, VKey, open_note, parse_note

SPLIT_VIEW = "urn:assay:split-view:v1"
_FIELDS = ("type", "first", "second", "left", "right")


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitView:
    """Two signed notes, the one of the smaller tree first, and what ties them together.

    `left` and `right` are 32-byte hashes, as `cover` orders them; both empty for equal sizes.
    """

    first: bytes
    second: bytes
    left: tuple[bytes, ...] = ()
    right: tuple[bytes, ...] = ()

    def render(self) -> bytes:
        """Return the evidence as JSON (RFC 8785).

        Raises:
            FormatError: not two signed checkpoints, or not the hashes that their sizes ask for.
        """
        _read(self)
        return canonical_json(
            {
                "type": SPLIT_VIEW,
                "first": self.first.decode("utf-8"),
                "second": self.second.decode("utf-8"),
                "left": [encode_base64(value) for value in self.left],
                "right": [encode_base64(value) for value in self.right],
            }
        )


def cover(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the complete subtrees that cover the leaves `start`…`end`-1, from left to right.

    Each is (level, index): the 2^level leaves from index · 2^level on. Always the largest that
    fits, so there is one cover, of fewer than 2 · 63 subtrees.
    """
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        yield level, start >> level
        start += 1 << level


def read_cover(start: int, end: int, reader: HashReader) -> tuple[bytes, ...]:
    """Return the hashes of `cover(start, end)`; raises what `reader` raises."""
    return tuple(reader.read(level, index) for level, index in cover(start, end))


def roots_of(
    old_size: int, new_size: int, left: Sequence[bytes], right: Sequence[bytes]
) -> tuple[bytes, bytes]:
    """Return the root over the first `old_size` leaves, and that of the whole tree.

    `left` and `right` are the hashes of `cover(0, old_size)` and `cover(old_size, new_size)`.
    """
    start, rest = list(cover(0, old_size)), list(cover(old_size, new_size))
    return _root_over(start, left), _root_over(start + rest, (*left, *right))


def _root_over(subtrees: Sequence[tuple[int, int]], hashes: Sequence[bytes]) -> bytes:
    """Return the root over `subtrees`, which cover a whole tree from its first leaf on."""
    waiting: list[bytes] = []
    for (_, index), value in zip(subtrees, hashes, strict=True):
        node, at = value, index
        while at & 1:  # a right sibling, and the left one is the last that waits
            node, at = node_hash(waiting.pop(), node), at >> 1
        waiting.append(node)
    root = waiting.pop() if waiting else EMPTY_ROOT
    while waiting:
        root = node_hash(waiting.pop(), root)
    return root


def parse_split_view(data: bytes) -> SplitView:
    """Read evidence, syntax only: `check_split_view` says whether it is any.

    Raises:
        FormatError: not the JSON, not two signed checkpoints with the smaller tree first, a hash
            that is not 32 bytes, or another number of hashes than the sizes ask for.
    """
    fields = as_object(parse_json(data, path="split view"), "split view", required=_FIELDS)
    if fields["type"] != SPLIT_VIEW:
        raise FormatError(f"is not {SPLIT_VIEW!r}", "type")
    evidence = SplitView(
        first=as_text(fields["first"], "first").encode("utf-8"),
        second=as_text(fields["second"], "second").encode("utf-8"),
        left=_hashes(fields["left"], "left"),
        right=_hashes(fields["right"], "right"),
    )
    _read(evidence)
    return evidence


def _hashes(value: object, path: str) -> tuple[bytes, ...]:
    items = as_list(value, path)
    return tuple(decode_base64(item, f"{path}[{i}]") for i, item in enumerate(items))


def _read(evidence: SplitView) -> tuple[Checkpoint, Checkpoint]:
    """Return the two checkpoints; everything that is syntax holds when this returns."""
    old = _checkpoint(evidence.first, "first")
    new = _checkpoint(evidence.second, "second")
    if old.size > new.size:
        raise FormatError("the smaller tree comes first", "first")
    same = old.size == new.size
    for name, hashes, start, end in (
        ("left", evidence.left, 0, old.size),
        ("right", evidence.right, old.size, new.size),
    ):
        wanted = 0 if same else sum(1 for _ in cover(start, end))
        if len(hashes) != wanted:
            raise FormatError(f"has {len(hashes)} hashes; the sizes ask for {wanted}", name)
        if any(len(value) != SHA256_BYTES for value in hashes):
            raise FormatError(f"a hash is {SHA256_BYTES} bytes", name)
    return old, new


def _checkpoint(note: bytes, path: str) -> Checkpoint:
    try:
        return parse_checkpoint(parse_note(note).text)
    except FormatError as error:
        raise FormatError(str(error), path) from error


def check_split_view(evidence: SplitView, log: VKey) -> str:
    """Return one sentence that says what `evidence` shows against the log with the key `log`.

    1. Two signed checkpoints with the hashes that their sizes ask for.
    2. Both are of the origin that the key is named for, and the key signed both.
    3. Equal sizes: the roots differ. Otherwise the hashes give the newer root, and those on the
       left give another root than the older one.

    Witnesses are not asked for: a log lies by its own signature.

    Raises:
        MisuseError: `log` is no log's key (type 01).
        FormatError: step 1.
        VerificationError: step 2 or 3: it shows no fork of this log.
    """
    if log.kind != ED25519:
        raise MisuseError(f"{log} is no key of a log, which has type 01")
    old, new = _read(evidence)
    for checkpoint, note in ((old, evidence.first), (new, evidence.second)):
        if checkpoint.origin != log.name:
            raise VerificationError(
                "a checkpoint of another log", expected=log.name, found=checkpoint.origin
            )
        open_note(note, [log])
    if old.size == new.size:
        if old.root == new.root:
            raise VerificationError("no split view: both checkpoints are of one tree")
        return (
            f"{log.name} signed two trees of {old.size} leaves: "
            f"one has the root {old.root.hex()}, the other {new.root.hex()}"
        )
    begins, whole = roots_of(old.size, new.size, evidence.left, evidence.right)
    if whole != new.root:
        raise VerificationError(
            "the hashes are not of the newer tree", expected=new.root.hex(), found=whole.hex()
        )
    if begins == old.root:
        raise VerificationError("no split view: the newer tree begins with the older one")
    return (
        f"{log.name} signed a tree of {old.size} leaves with the root {old.root.hex()}, and a tree "
        f"of {new.size} leaves whose first {old.size} have the root {begins.hex()}"
    )
