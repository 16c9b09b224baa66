"""Evidence of a fork: a stranger is convinced by signatures and hashes, and by nothing less."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, strategies as st

from assay.errors import FormatError, MisuseError, VerificationError
from assay.merkle import root_of
from assay.note import COSIGNATURE, Note, parse_note, render
from assay.splitview import (
    SPLIT_VIEW,
    SplitView,
    check_split_view,
    cover,
    parse_split_view,
    read_cover,
    roots_of,
)
from tests.assay.views import LOG, ORIGIN, SIGNER, Leaves, note_over, numbered, vkey_of

OLD, NEW = 6, 11
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x01")


def evidence(old: list[bytes], new: list[bytes]) -> SplitView:
    """What anyone can lay down about two signed trees; whether it is a fork is the question."""
    reader, same = Leaves(new), len(old) == len(new)
    return SplitView(
        first=note_over(old),
        second=note_over(new),
        left=() if same else read_cover(0, len(old), reader),
        right=() if same else read_cover(len(old), len(new), reader),
    )


def forked(old: int = OLD, new: int = NEW) -> SplitView:
    return evidence(numbered(old, b"before "), numbered(new))


def test_two_trees_of_one_size_convince_a_stranger() -> None:
    shown = evidence(numbered(3), numbered(3, b"other "))
    told = check_split_view(parse_split_view(shown.render()), LOG)
    assert told.startswith(f"{ORIGIN} signed two trees of 3 leaves: one has the root ")
    assert root_of(numbered(3)).hex() in told
    assert root_of(numbered(3, b"other ")).hex() in told


def test_a_tree_that_does_not_begin_with_the_older_one_convinces_a_stranger() -> None:
    told = check_split_view(parse_split_view(forked().render()), LOG)
    assert f"signed a tree of {OLD} leaves with the root " in told
    assert f"of {NEW} leaves whose first {OLD} have the root " in told
    assert root_of(numbered(OLD)).hex() in told


def test_an_empty_tree_with_a_root_contradicts_every_other() -> None:
    lie = note_over(numbered(1), size=0)
    shown = SplitView(first=lie, second=note_over([]))
    assert "two trees of 0 leaves" in check_split_view(shown, LOG)
    grown = numbered(5)
    shown = SplitView(
        first=lie, second=note_over(grown), right=read_cover(0, len(grown), Leaves(grown))
    )
    assert "signed a tree of 0 leaves" in check_split_view(shown, LOG)


def test_growth_is_no_fork() -> None:
    leaves = numbered(NEW)
    for old in range(NEW + 1):
        with pytest.raises(VerificationError, match="no split view"):
            check_split_view(evidence(leaves[:old], leaves), LOG)


def test_two_texts_over_one_tree_are_no_fork() -> None:
    leaves = numbered(4)
    shown = SplitView(first=note_over(leaves), second=note_over(leaves, extensions=("more",)))
    with pytest.raises(VerificationError, match="both checkpoints are of one tree"):
        check_split_view(shown, LOG)


def test_mallory_may_not_accuse_a_log_of_what_another_key_signed() -> None:
    old, new = numbered(3), numbered(3, b"other ")
    for first, second in (
        (note_over(old, signer=OTHER), note_over(new)),
        (note_over(old), note_over(new, signer=OTHER)),
    ):
        with pytest.raises(VerificationError, match="no known key signed"):
            check_split_view(SplitView(first=first, second=second), LOG)
    signed = parse_note(note_over(old))
    moved = replace(signed, text=parse_note(note_over(new)).text)
    with pytest.raises(VerificationError, match="is wrong"):
        check_split_view(SplitView(first=render(signed), second=render(moved)), LOG)


def test_mallory_may_not_set_two_logs_against_each_other() -> None:
    name = "other.example.org"
    shown = SplitView(
        first=note_over(numbered(3)), second=note_over(numbered(3, b"x"), origin=name)
    )
    with pytest.raises(VerificationError, match="another log"):
        check_split_view(shown, LOG)
    with pytest.raises(VerificationError, match="another log"):
        check_split_view(shown, vkey_of(SIGNER, name))


def test_a_witness_key_cannot_be_the_accused() -> None:
    with pytest.raises(MisuseError, match="type 01"):
        check_split_view(forked(), vkey_of(SIGNER, kind=COSIGNATURE))


def test_mallory_may_not_make_up_the_hashes() -> None:
    shown = forked()
    wrong = bytes(32)
    for number in range(len(shown.left)):
        left = (*shown.left[:number], wrong, *shown.left[number + 1 :])
        with pytest.raises(VerificationError, match="not of the newer tree"):
            check_split_view(replace(shown, left=left), LOG)
    for number in range(len(shown.right)):
        right = (*shown.right[:number], wrong, *shown.right[number + 1 :])
        with pytest.raises(VerificationError, match="not of the newer tree"):
            check_split_view(replace(shown, right=right), LOG)
    with pytest.raises(VerificationError, match="not of the newer tree"):
        check_split_view(replace(shown, second=note_over(numbered(NEW, b"x"))), LOG)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"left": ()}, "left: has 0 hashes; the sizes ask for 2"),
        ({"left": (*forked().left, bytes(32))}, "left: has 3 hashes"),
        ({"right": forked().right[:-1]}, "right: has 2 hashes; the sizes ask for 3"),
        ({"right": (*forked().right[:-1], b"short")}, "right: a hash is 32 bytes"),
        ({"first": forked().second, "second": forked().first}, "the smaller tree comes first"),
        ({"first": forked().second}, "left: has 2 hashes; the sizes ask for 0"),
        ({"first": b"\xff"}, "first: a note is UTF-8"),
        ({"second": b"three words\n"}, "second: a note is a text"),
        ({"second": render(Note(text="a\nb\n", lines=parse_note(forked().first).lines))}, "second"),
    ],
)
def test_what_is_not_laid_down_in_its_one_form_is_malformed(
    changed: dict[str, Any], message: str
) -> None:
    bent = replace(forked(), **changed)
    with pytest.raises(FormatError, match=message):
        check_split_view(bent, LOG)
    with pytest.raises(FormatError, match=message):
        bent.render()


def test_the_file_is_readable_and_comes_back() -> None:
    shown = forked()
    value = json.loads(shown.render())
    assert value["type"] == SPLIT_VIEW
    assert value["first"].startswith(f"{ORIGIN}\n{OLD}\n")
    assert parse_split_view(shown.render()) == shown
    assert parse_split_view(json.dumps(value, indent=2).encode()) == shown


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"type": "urn:assay:split-view:v2"}, "type: is not"),
        ({"first": 1}, "first: is not a string"),
        ({"left": "hashes"}, "left: is not an array"),
        ({"left": ["AB=="]}, r"left\[0\]: not the canonical base64"),
        ({"more": 1}, "the field 'more' is unknown"),
        ({"second": "no note"}, "second: "),
    ],
)
def test_a_file_that_is_no_evidence_is_malformed(changed: dict[str, Any], message: str) -> None:
    value = json.loads(forked().render()) | changed
    with pytest.raises(FormatError, match=message):
        parse_split_view(json.dumps(value).encode())
    with pytest.raises(FormatError, match="is missing"):
        parse_split_view(b"{}")


def test_the_cover_is_the_largest_complete_subtrees_in_order() -> None:
    assert list(cover(0, 0)) == []
    assert list(cover(0, 6)) == [(2, 0), (1, 2)]
    assert list(cover(6, 11)) == [(1, 3), (1, 4), (0, 10)]
    assert list(cover(1, 8)) == [(0, 1), (1, 1), (2, 1)]
    assert len(list(cover(1, 2**63 - 1))) == 124


sizes = st.tuples(st.integers(0, 70), st.integers(0, 70)).map(sorted)


@pytest.mark.property
@given(sizes)
def test_the_hashes_of_two_sizes_give_both_roots(pair: list[int]) -> None:
    old, new = pair
    leaves = numbered(new)
    left, right = read_cover(0, old, Leaves(leaves)), read_cover(old, new, Leaves(leaves))
    assert roots_of(old, new, left, right) == (root_of(leaves[:old]), root_of(leaves))


@st.composite
def forks(draw: st.DrawFn) -> tuple[list[bytes], list[bytes]]:
    """An older and a newer tree, the older one changed at some leaves: at one, at least."""
    new = draw(st.integers(1, 70))
    old = draw(st.integers(1, new))
    changed = draw(st.sets(st.integers(0, old - 1), min_size=1))
    leaves = numbered(new)
    other = numbered(old, b"other ")
    return [other[i] if i in changed else leaves[i] for i in range(old)], leaves


@pytest.mark.property
@given(forks())
def test_every_fork_can_be_shown(fork: tuple[list[bytes], list[bytes]]) -> None:
    shown = evidence(*fork)
    assert check_split_view(parse_split_view(shown.render()), LOG).startswith(f"{ORIGIN} signed")


@pytest.mark.property
@given(sizes, st.data())
def test_no_growth_can_ever_be_shown_as_a_fork(pair: list[int], data: st.DataObject) -> None:
    """Whatever hashes mallory chooses, true ones of any tree among them, an honest log is safe."""
    old, new = pair
    leaves = numbered(new)
    honest = evidence(leaves[:old], leaves)
    true_hashes = [*honest.left, *honest.right, root_of(leaves[:old]), root_of(leaves), *leaves]
    some_hash = st.sampled_from(true_hashes) | st.binary(min_size=32, max_size=32)
    left = data.draw(st.tuples(*[some_hash] * len(honest.left)))
    right = data.draw(st.tuples(*[some_hash] * len(honest.right)))
    for shown in (honest, replace(honest, left=left, right=right)):
        with pytest.raises(VerificationError):
            check_split_view(shown, LOG)
