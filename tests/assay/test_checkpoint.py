"""Checkpoints: three lines with one spelling, and names that are fit to be an origin."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from assay.canonical import encode_base64
from assay.checkpoint import (
    Checkpoint,
    VerifiedCheckpoint,
    check_origin,
    is_origin,
    parse_checkpoint,
)
from assay.digests import sha256_hex
from assay.errors import FormatError, MisuseError
from assay.note import parse_note
from tests.assay.vectors import values, vector

ROOT = encode_base64(bytes(32))


def test_the_vectors_checkpoint_reads_back() -> None:
    text = parse_note(vector("checkpoint")).text
    assert sha256_hex(text.encode()) == values()["log"]["checkpoint_text_sha256"]
    checkpoint = parse_checkpoint(text)
    assert checkpoint == Checkpoint(
        origin=values()["origin"], size=259, root=bytes.fromhex(values()["log"]["root"])
    )
    assert checkpoint.text == text


@pytest.mark.property
@given(
    st.integers(0, 2**63 - 1),
    st.binary(min_size=32, max_size=32),
    st.lists(st.text("a é—\u2028", min_size=1), max_size=3),
)
def test_every_checkpoint_reads_back(size: int, root: bytes, extensions: list[str]) -> None:
    checkpoint = Checkpoint(origin="o", size=size, root=root, extensions=tuple(extensions))
    assert parse_checkpoint(checkpoint.text) == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n\n",
        "o\n1\n",
        f"o\n1\n{ROOT}",
        f"o\n1\n{ROOT}\nextension",
        f"o\n1\n{ROOT}\n\n",
        f"o\n1\n\n{ROOT}\n",
        f"o\n01\n{ROOT}\n",
        f"o\n1\n{ROOT[:-2]}=\n",
        f"o\n1\n{encode_base64(bytes(33))}\n",
        f"{'o' * 254}\n1\n{ROOT}\n",
    ],
)
def test_a_checkpoint_has_one_spelling(text: str) -> None:
    with pytest.raises(FormatError):
        parse_checkpoint(text)


@pytest.mark.parametrize("value", ["localhost", "127.0.0.1", "a-b.example", "x" * 63 + ".example"])
def test_host_names_are_origins(value: str) -> None:
    assert is_origin(value)
    assert check_origin(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "a..b",
        ".a",
        "a.",
        "-a",
        "a-",
        "a_b",
        "a\n",
        "x" * 64,
        "[::1]",
        "ä.example",
        "a." * 126 + "aa",
    ],
)
def test_no_other_name_is_an_origin(value: str) -> None:
    with pytest.raises(MisuseError):
        check_origin(value)


def test_a_tree_existed_by_its_earliest_cosignature() -> None:
    checkpoint = Checkpoint(origin="o", size=0, root=bytes(32))
    witnesses = (("bob", 20), ("carol", 10))
    seen = VerifiedCheckpoint(checkpoint=checkpoint, note=b"", witnesses=witnesses)
    assert seen.witnessed_at == 10
    unseen = VerifiedCheckpoint(checkpoint=checkpoint, note=b"", witnesses=())
    assert unseen.witnessed_at is None
