"""Proofs over trees: the vectors, and every tree up to 129 leaves against RFC 6962's own words."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from assay.errors import FormatError, MisuseError, VerificationError
from assay.merkle import (
    EMPTY_ROOT,
    check_consistency,
    check_inclusion,
    inclusion_root,
    leaf_hash,
    prove_consistency,
    prove_inclusion,
    root_from,
    root_of,
)
from tests.assay.naive import LEAVES, MOST, READER, UNIFORM, naive_path, naive_root, naive_subproof
from tests.assay.vectors import values

SIZES = st.integers(1, MOST)


def from_hex(values: list[str]) -> list[bytes]:
    return [bytes.fromhex(value) for value in values]


def test_leaf_hashes_and_roots_are_those_of_the_vectors() -> None:
    tree = values()["rfc6962"]
    assert leaf_hash(b"").hex() == tree["leaf_hash_of_empty"]
    assert [leaf.hex() for leaf in LEAVES[: len(tree["leaf_hashes"])]] == tree["leaf_hashes"]
    for size, root in tree["roots"].items():
        assert root_of(LEAVES[: int(size)]).hex() == root
        assert root_from(int(size), READER).hex() == root


def test_inclusion_proofs_are_those_of_the_vectors() -> None:
    for row in values()["rfc6962"]["inclusion"]:
        proof = from_hex(row["hashes"])
        assert prove_inclusion(row["index"], row["size"], READER) == proof
        root = root_of(LEAVES[: row["size"]])
        check_inclusion(LEAVES[row["index"]], row["index"], row["size"], proof, root)


def test_consistency_proofs_are_those_of_the_vectors() -> None:
    for row in values()["rfc6962"]["consistency"]:
        proof = from_hex(row["hashes"])
        assert prove_consistency(row["old"], row["new"], READER) == proof
        roots = root_of(LEAVES[: row["old"]]), root_of(LEAVES[: row["new"]])
        check_consistency(row["old"], roots[0], row["new"], roots[1], proof)


def test_the_vectors_log_grew_as_it_says() -> None:
    log = values()["log"]
    root, late = bytes.fromhex(log["root"]), log["late"]
    for old in (100, 200):
        proof = from_hex(log[f"consistency_{old}_259"])
        check_consistency(old, bytes.fromhex(log[f"root_{old}"]), 259, root, proof)
    proof = from_hex(late["consistency_259_late"])
    check_consistency(259, root, late["size"], bytes.fromhex(late["root"]), proof)
    for claim in values()["claims"].values():
        leaf = bytes.fromhex(claim["leaf_hash"])
        assert leaf_hash(claim["body"].encode()) == leaf
        check_inclusion(leaf, claim["index"], 259, from_hex(claim["inclusion_259"]), root)


def test_every_entry_of_every_tree_has_the_proof_of_the_rfc() -> None:
    for size in range(1, MOST + 1):
        root = naive_root(0, size)
        assert root_from(size, READER) == root_of(LEAVES[:size]) == root
        for index in range(size):
            proof = prove_inclusion(index, size, READER)
            assert proof == naive_path(index, 0, size)
            check_inclusion(LEAVES[index], index, size, proof, root)


def test_every_growth_of_every_tree_has_the_proof_of_the_rfc() -> None:
    for new in range(1, MOST + 1):
        for old in range(1, new + 1):
            proof = prove_consistency(old, new, READER)
            assert proof == naive_subproof(old, 0, new, known=True)
            check_consistency(old, naive_root(0, old), new, naive_root(0, new), proof)


def test_a_proof_holds_for_one_index_of_one_tree_and_no_other() -> None:
    most = 40
    for size in range(1, most):
        for index in range(size):
            proof = prove_inclusion(index, size, READER)
            others = [(other, size) for other in range(most) if other != index]
            others += [(index, other) for other in range(most) if other != size]
            for at, of in others:
                root = naive_root(0, max(of, 1))
                with pytest.raises(VerificationError):
                    check_inclusion(LEAVES[index], at, of, proof, root)


@pytest.mark.property
@given(st.data())
def test_large_trees_grow_as_small_ones_do(data: st.DataObject) -> None:
    """No naive tree has 2**40 leaves: one in which all complete subtrees of a height are equal."""
    new = data.draw(st.integers(2, 2**40), "new")
    old = data.draw(st.integers(1, new), "old")
    index = data.draw(st.integers(0, new - 1), "index")
    root = root_from(new, UNIFORM)
    check_inclusion(LEAVES[0], index, new, prove_inclusion(index, new, UNIFORM), root)
    proof = prove_consistency(old, new, UNIFORM)
    check_consistency(old, root_from(old, UNIFORM), new, root, proof)
    with pytest.raises(VerificationError):
        check_inclusion(LEAVES[1], index, new, prove_inclusion(index, new, UNIFORM), root)
    if old < new:
        with pytest.raises(VerificationError):
            check_consistency(old, LEAVES[1], new, root, proof)


@pytest.mark.property
@given(st.data())
def test_mallory_changes_one_thing_of_an_inclusion_proof_and_is_refused(
    data: st.DataObject,
) -> None:
    size = data.draw(st.integers(2, MOST), "size")
    index = data.draw(st.integers(0, size - 1), "index")
    leaf, root = LEAVES[index], naive_root(0, size)
    proof = prove_inclusion(index, size, READER)
    lie = data.draw(st.sampled_from(["bit", "short", "long", "index", "leaf", "root"]), "lie")
    if lie == "bit":
        at = data.draw(st.integers(0, len(proof) - 1), "at")
        proof[at] = bytes([proof[at][0] ^ 1]) + proof[at][1:]
    elif lie == "short":
        proof.pop(data.draw(st.integers(0, len(proof) - 1), "at"))
    elif lie == "long":
        proof.insert(data.draw(st.integers(0, len(proof)), "at"), LEAVES[299])
    elif lie == "index":
        other = data.draw(st.integers(0, MOST), "other")
        index = other if other != index else index + 1
    elif lie == "leaf":
        leaf = LEAVES[299]
    else:
        root = naive_root(0, size - 1)
    with pytest.raises(VerificationError):
        check_inclusion(leaf, index, size, proof, root)


@pytest.mark.property
@given(st.data())
def test_mallory_changes_one_thing_of_a_consistency_proof_and_is_refused(
    data: st.DataObject,
) -> None:
    new = data.draw(st.integers(2, MOST), "new")
    old = data.draw(st.integers(1, new - 1), "old")
    old_root, new_root = naive_root(0, old), naive_root(0, new)
    proof = prove_consistency(old, new, READER)
    lie = data.draw(st.sampled_from(["bit", "short", "long", "old root", "new root"]), "lie")
    if lie == "bit":
        at = data.draw(st.integers(0, len(proof) - 1), "at")
        proof[at] = bytes([proof[at][0] ^ 1]) + proof[at][1:]
    elif lie == "short":
        proof.pop(data.draw(st.integers(0, len(proof) - 1), "at"))
    elif lie == "long":
        proof.insert(data.draw(st.integers(0, len(proof)), "at"), LEAVES[299])
    elif lie == "old root":
        old_root = LEAVES[299]
    else:
        new_root = LEAVES[299]
    with pytest.raises(VerificationError):
        check_consistency(old, old_root, new, new_root, proof)


def test_from_nothing_every_tree_may_grow_without_a_proof() -> None:
    assert prove_consistency(0, 5, READER) == []
    check_consistency(0, EMPTY_ROOT, 5, naive_root(0, 5), [])
    check_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])


def test_a_tree_of_one_leaf_is_the_leaf() -> None:
    assert prove_inclusion(0, 1, READER) == []
    assert inclusion_root(LEAVES[0], 0, 1, []) == LEAVES[0]


def test_the_empty_tree_has_one_root() -> None:
    assert root_of([]) == root_from(0, READER) == EMPTY_ROOT
    with pytest.raises(VerificationError, match="empty tree"):
        check_consistency(0, EMPTY_ROOT, 0, LEAVES[0], [])


def test_the_error_says_which_root_was_expected_and_which_was_found() -> None:
    with pytest.raises(VerificationError) as caught:
        check_inclusion(LEAVES[0], 0, 1, [], LEAVES[1])
    assert (caught.value.expected, caught.value.found) == (LEAVES[1].hex(), LEAVES[0].hex())


@pytest.mark.parametrize(
    ("leaf", "index", "size", "proof"),
    [
        (LEAVES[0][1:], 0, 1, []),
        (LEAVES[0], -1, 1, []),
        (LEAVES[0], 0, -1, []),
        (LEAVES[0], 0, 2**63, []),
        (LEAVES[0], 0, 2, [LEAVES[1] + b"\x00"]),
        (LEAVES[0], 0, 2, [LEAVES[1]] * 64),
    ],
)
def test_what_is_no_proof_at_all_is_malformed(
    leaf: bytes, index: int, size: int, proof: list[bytes]
) -> None:
    with pytest.raises(FormatError):
        inclusion_root(leaf, index, size, proof)


def test_a_root_of_another_length_is_malformed() -> None:
    with pytest.raises(FormatError):
        check_inclusion(LEAVES[0], 0, 1, [], LEAVES[0][1:])
    with pytest.raises(FormatError):
        check_consistency(1, LEAVES[0][1:], 1, LEAVES[0], [])


def test_nobody_can_prove_what_is_not_in_the_tree() -> None:
    for index, size in ((0, 0), (5, 5), (-1, 5)):
        with pytest.raises(MisuseError):
            prove_inclusion(index, size, READER)
    for old, new in ((6, 5), (-1, 5)):
        with pytest.raises(MisuseError):
            prove_consistency(old, new, READER)
