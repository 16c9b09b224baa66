"""A log is read to its last byte, and every lie in it is found and named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from assay.canonical import canonical_json
from assay.checkpoint import Checkpoint, parse_checkpoint
from assay.dsse import Envelope, rekor_body, sign
from assay.errors import (
    AssayError,
    FormatError,
    MissingError,
    MisuseError,
    UnavailableError,
    VerificationError,
)
from assay.logdata import (
    StoredEnvelope,
    check_tree,
    disputed_tile,
    parse_stored,
    read_bundles,
    read_entries,
)
from assay.note import parse_note
from assay.tiles import Tile
from tests.assay.logbook import ALICE, BOB, Logbook, public
from tests.assay.stand_log import MemoryLog, tree_of


def head(book: Logbook, size: int | None = None) -> Checkpoint:
    return parse_checkpoint(parse_note(book.note(size)).text)


def served(book: Logbook, *sizes: int) -> MemoryLog:
    return MemoryLog(book.files(*sizes))


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 300])
def test_a_whole_log_is_read(size: int) -> None:
    book = Logbook().fill(size)
    entries = list(read_entries(served(book), 0, head(book)))
    assert [entry.index for entry in entries] == list(range(size))
    assert [entry.body for entry in entries] == book.bodies
    assert [entry.envelope for entry in entries] == list(book.envelopes.values())
    assert {entry.key for entry in entries} <= {public(ALICE)}
    assert [entry.statement.predicate["alias"] for entry in entries] == [
        f"v{index}" for index in range(size)
    ]


def test_reading_starts_in_the_middle_of_a_bundle() -> None:
    book = Logbook().fill(300)
    source = served(book)
    assert [entry.index for entry in read_entries(source, 298, head(book))] == [298, 299]
    assert "tile/entries/000" not in source.asked
    assert list(read_entries(source, 300, head(book))) == []
    with pytest.raises(MisuseError, match="has no entry 301"):
        list(read_entries(source, 301, head(book)))


def test_one_payload_under_two_keys_is_two_entries() -> None:
    book = Logbook()
    payload = book.point("v1").payload
    second = sign(payload, BOB)
    book.bodies.append(rekor_body(second.pae_sha256, second.signature, public(BOB).spki))
    files = book.files()
    (name,) = [name for name in files if name.startswith("envelopes/")]
    stored = StoredEnvelope(
        payload=payload, signatures=(*parse_stored(files[name]).signatures, second.signature)
    )
    files[name] = stored.to_json()
    entries = list(read_entries(MemoryLog(files), 0, head(book)))
    assert [entry.key for entry in entries] == [public(ALICE), public(BOB)]


BODIES = [b"%d" % number for number in range(66_000)]


@cache
def large() -> tuple[Checkpoint, dict[str, bytes]]:
    """A log with three levels of tiles."""
    return tree_of(BODIES)


def test_every_tile_is_asked_for_once_and_few_are_held() -> None:
    checkpoint, files = large()
    source = MemoryLog(files)
    reader = check_tree(source, checkpoint)
    bundles = list(read_bundles(source, 0, checkpoint, reader))
    assert [body for bundle in bundles for body in bundle.bodies] == BODIES
    assert sorted(source.asked) == sorted(files)
    held = {**reader._edge, **{level: kept for level, (_, kept) in reader._last.items()}}
    assert sum(map(len, held.values())) <= 2 * 3 * 256


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tile/2/000.p/1", "not those of the tree of 66000 leaves"),
        ("tile/1/001.p/1", "not those of the tree of 66000 leaves"),
        ("tile/1/000", "tile/1/000 is not what the tile above says"),
        ("tile/0/000", "tile/0/000 is not what the tile above says"),
        ("tile/0/255", "tile/0/255 is not what the tile above says"),
        ("tile/entries/003", "entry 1023 in tile/entries/003 is not the leaf"),
        ("tile/entries/257.p/208", "entry 65999 in tile/entries/257.p/208 is not the leaf"),
    ],
)
def test_a_flipped_bit_anywhere_is_found(name: str, words: str) -> None:
    checkpoint, files = large()
    bent = files[name][:-1] + bytes([files[name][-1] ^ 1])
    source = MemoryLog({**files, name: bent})
    with pytest.raises(VerificationError, match=words):
        list(read_bundles(source, 0, checkpoint))


@pytest.mark.parametrize("name", ["tile/1/000.p/2", "tile/0/000", ""])
def test_the_tile_that_does_not_fit_is_named_for_a_report(name: str) -> None:
    files = tree_of(BODIES[:512])[1]
    if name:
        files[name] = bytes(len(files[name]))
    assert disputed_tile(MemoryLog(files), 512) == ("tile/1/000.p/2" if name else "")


def test_mallory_may_not_show_another_edge_after_the_root_was_checked() -> None:
    """What rebuilt the root is held, not asked for again."""
    checkpoint, files = tree_of(BODIES[:600])
    source = MemoryLog(files)
    reader = check_tree(source, checkpoint)
    source.files = {
        name: data if name.startswith("tile/entries") or ".p" not in name else bytes(len(data))
        for name, data in files.items()
    }
    assert len(list(read_bundles(source, 0, checkpoint, reader))) == 3


@pytest.mark.parametrize("name", ["tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44"])
def test_bytes_after_a_partial_tile_are_refused(name: str) -> None:
    checkpoint, files = tree_of(BODIES[:300])
    for surplus in (b"\x00", bytes(32)):
        bent = MemoryLog({**files, name: files[name] + surplus})
        with pytest.raises(FormatError, match=name):
            list(read_bundles(bent, 0, checkpoint))


def test_a_partial_tile_that_was_dropped_is_read_from_the_full_one() -> None:
    checkpoint, files = tree_of(BODIES[:300])
    later = tree_of(BODIES[:600])[1]
    source = MemoryLog({**later, "tile/1/000.p/1": files["tile/1/000.p/1"]})
    bundles = list(read_bundles(source, 0, checkpoint))
    assert [len(bundle.bodies) for bundle in bundles] == [256, 44]
    del source.files["tile/0/001"]
    with pytest.raises(MissingError, match=r"tile/0/001\.p/44"):
        list(read_bundles(source, 0, checkpoint))


@pytest.mark.parametrize("name", ["tile/0/000", "tile/entries/000", "tile/1/000.p/1"])
def test_a_tile_that_is_withheld_is_named(name: str) -> None:
    checkpoint, files = tree_of(BODIES[:300])
    del files[name]
    with pytest.raises(MissingError, match=name):
        list(read_bundles(MemoryLog(files), 0, checkpoint))


def test_silence_about_a_partial_tile_is_not_taken_for_its_absence() -> None:
    class Silent(MemoryLog):
        def tile(self, tile: Tile) -> bytes:
            self.asked.append(tile.path)
            raise UnavailableError("no answer")

    source = Silent({})
    with pytest.raises(UnavailableError, match="no answer"):
        check_tree(source, tree_of(BODIES[:300])[0])
    assert len(source.asked) == 1


def test_a_tree_begins_with_the_older_one_or_is_refused() -> None:
    checkpoint, files = tree_of(BODIES[:300])
    old = tree_of(BODIES[:10])[0]
    source = MemoryLog(files)
    check_tree(source, checkpoint, old)
    check_tree(source, checkpoint, checkpoint)
    with pytest.raises(VerificationError, match="does not begin with the tree of 10"):
        check_tree(source, checkpoint, replace(old, root=bytes(32)))
    with pytest.raises(VerificationError, match="the tree shrank"):
        check_tree(source, checkpoint, tree_of(BODIES[:301])[0])


def test_a_tile_that_the_tree_does_not_have_is_misuse() -> None:
    checkpoint, files = tree_of(BODIES[:300])
    reader = check_tree(MemoryLog(files), checkpoint)
    for level, index in ((0, 2), (1, 1), (2, 0), (0, -1)):
        with pytest.raises(MisuseError):
            reader.hashes(level, index)


def lie(book: Logbook, change: Callable[[dict[str, bytes], str], None]) -> AssayError:
    """Return the error of a log of which the envelope of entry 1 was changed."""
    files = book.files()
    change(files, f"envelopes/{list(book.envelopes)[1]}")
    with pytest.raises(VerificationError) as caught:
        list(read_entries(MemoryLog(files), 0, head(book)))
    assert str(caught.value).startswith("entry 1: ")
    return caught.value


def respelled(files: dict[str, bytes], name: str) -> None:
    files[name] = json.dumps(json.loads(files[name])).encode()


def with_fields(**fields: object) -> Callable[[dict[str, bytes], str], None]:
    def change(files: dict[str, bytes], name: str) -> None:
        files[name] = canonical_json({**json.loads(files[name]), **fields})

    return change


def replaced(data: bytes) -> Callable[[dict[str, bytes], str], None]:
    def change(files: dict[str, bytes], name: str) -> None:
        files[name] = data

    return change


OTHER = sign(b"{}", BOB)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (replaced(OTHER.to_json()), "the envelope is another claim's"),
        (replaced(b"<html>"), "not strict JSON"),
        (respelled, "not in RFC 8785 form"),
        (with_fields(note="x"), "the field 'note' is unknown"),
        (with_fields(signatures=[]), "an envelope has a signature"),
        (with_fields(signatures=OTHER.to_dict()["signatures"]), "lacks the signature"),
        (with_fields(signatures=[{"sig": "AA==", "keyid": ""}]), "the field 'keyid' is unknown"),
        (with_fields(payloadType="text/plain"), "is not 'application/vnd.in-toto"),
    ],
)
def test_mallory_may_not_serve_another_envelope(
    change: Callable[[dict[str, bytes], str], None], words: str
) -> None:
    assert words in str(lie(Logbook().fill(3), change))


def test_an_envelope_that_is_withheld_is_named() -> None:
    book = Logbook().fill(5)
    withheld = list(book.envelopes)[3]
    files = book.files()
    del files[f"envelopes/{withheld}"]
    entries = read_entries(MemoryLog(files), 0, head(book))
    assert [next(entries).index for _ in range(3)] == [0, 1, 2]
    with pytest.raises(MissingError, match=f"entry 3: .*{withheld}"):
        next(entries)


def bent_body(kind: str) -> tuple[bytes, Envelope]:
    """An entry that is no honest claim, and the envelope that goes with it."""
    payload = Logbook().point("bent").payload
    envelope = sign(payload, ALICE)
    digest, spki = envelope.pae_sha256, public(ALICE).spki
    if kind == "compressed key":
        numbers = ALICE.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        header = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
        return rekor_body(digest, envelope.signature, header + numbers), envelope
    if kind == "no key":
        return rekor_body(digest, envelope.signature, b"nothing"), envelope
    if kind == "another key's signature":
        forged = replace(envelope, signature=sign(payload, BOB).signature)
        return rekor_body(digest, forged.signature, spki), forged
    if kind == "no statement":
        empty = sign(b"{}", ALICE)
        return rekor_body(empty.pae_sha256, empty.signature, spki), empty
    return b"a secret message", envelope


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("compressed key", "the key is not in its one DER form"),
        ("no key", "no public key"),
        ("another key's signature", "the signature is not one of key"),
        ("no statement", "missing"),
        ("no claim", "not a hashedrekord"),
    ],
)
def test_an_entry_that_is_no_claim_is_refused(kind: str, words: str) -> None:
    book = Logbook().fill(2)
    body, envelope = bent_body(kind)
    book.bodies.append(body)
    book.envelopes[envelope.pae_sha256.hex()] = envelope
    with pytest.raises(VerificationError, match=f"entry 2: .*{words}"):
        list(read_entries(served(book), 0, head(book)))
