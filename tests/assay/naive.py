"""Trees in the words of RFC 6962, section 2.1: recursive, slow, none of our code but the hashes."""

from __future__ import annotations

from functools import cache

from assay.merkle import leaf_hash, node_hash

MOST = 129
LEAVES = tuple(leaf_hash(b"leaf %d" % number) for number in range(300))


def split(count: int) -> int:
    power = 1
    while power * 2 < count:
        power *= 2
    return power


@cache
def naive_root(start: int, end: int) -> bytes:
    """MTH of RFC 6962, section 2.1."""
    if end - start == 1:
        return LEAVES[start]
    middle = start + split(end - start)
    return node_hash(naive_root(start, middle), naive_root(middle, end))


def naive_path(index: int, start: int, end: int) -> list[bytes]:
    """PATH of RFC 6962, section 2.1.1."""
    if end - start == 1:
        return []
    middle = start + split(end - start)
    if index < middle:
        return [*naive_path(index, start, middle), naive_root(middle, end)]
    return [*naive_path(index, middle, end), naive_root(start, middle)]


def naive_subproof(old: int, start: int, end: int, *, known: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962, section 2.1.2."""
    if old == end:
        return [] if known else [naive_root(start, end)]
    middle = start + split(end - start)
    if old <= middle:
        return [*naive_subproof(old, start, middle, known=known), naive_root(middle, end)]
    return [*naive_subproof(old, middle, end, known=False), naive_root(start, middle)]


class Leaves:
    """Reads hashes of complete subtrees of the naive tree."""

    def read(self, level: int, index: int) -> bytes:
        return naive_root(index << level, (index + 1) << level)


class Uniform:
    """Reads hashes of a tree whose leaves are all the same one."""

    def read(self, level: int, index: int) -> bytes:
        return _uniform(level)


@cache
def _uniform(level: int) -> bytes:
    return LEAVES[0] if level == 0 else node_hash(_uniform(level - 1), _uniform(level - 1))


READER = Leaves()
UNIFORM = Uniform()
