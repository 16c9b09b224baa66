"""`/log/`: a stranger rebuilds the log from bytes alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from assay.checkpoint import parse_checkpoint
from assay.digests import sha256_hex
from assay.dsse import Envelope, parse_envelope, rekor_body
from assay.errors import UnavailableError
from assay.merkle import leaf_hash, root_from
from assay.note import VKey, open_note
from assay.tiles import Tile, TileReader, decode_entries
from ledger import services as ledger
from ledger.models import Entry
from tests.assay.vectors import Row, artefact_bytes, forged
from tests.ledger.builders import append_all, append_many, claim, sequence
from tests.ledger.witness import Witness


class Site:
    """A `TileSource` over HTTP, under a prefix."""

    def __init__(self, client: Client, prefix: str) -> None:
        self.client = client
        self.prefix = prefix

    def get(self, path: str) -> bytes:
        answer = self.client.get(f"{self.prefix}/{path}")
        if answer.status_code != 200:
            raise UnavailableError(path)
        return bytes(answer.content)

    def tile(self, tile: Tile) -> bytes:
        return self.get(tile.path)


@pytest.mark.parametrize("prefix", ["/log", "/log/api/v2"])
def test_a_mirror_rebuilds_the_signed_root_and_finds_every_envelope(
    client: Client, opened: None, wanda: Witness, prefix: str
) -> None:
    append_many(range(260))
    append_all(range(3), by="bob")
    sequence()
    site = Site(client, prefix)
    note = open_note(site.get("checkpoint"), [VKey.parse(ledger.log_vkey()), wanda.vkey])
    tree = parse_checkpoint(note.text)
    assert (tree.size, len(note.verified)) == (263, 2)
    assert root_from(tree.size, TileReader(site, tree.size)) == tree.root
    bodies = decode_entries(site.get("tile/entries/000"), 256)
    bodies += decode_entries(site.get("tile/entries/001.p/7"), 7)
    reader = TileReader(site, tree.size)
    assert [reader.read(0, n) for n in range(263)] == [leaf_hash(body) for body in bodies]
    last = Entry.objects.get(index=262)
    digest = bytes(last.payload_id)
    value = client.get(f"/log/envelopes/{digest.hex()}").json()
    assert len(value["signatures"]) == 2  # alice and bob, in log order
    value["signatures"] = value["signatures"][1:]
    envelope = parse_envelope(value)
    assert envelope.pae_sha256 == digest
    assert rekor_body(digest, envelope.signature, bytes(last.public_key)) == bodies[262]


def test_each_resource_says_how_long_it_may_be_kept(client: Client, opened: None) -> None:
    append_all(range(1))
    sequence()
    digest = claim(0).envelope.pae_sha256.hex()
    found = {
        path: (answer["Content-Type"], answer["Cache-Control"])
        for path in ("checkpoint", "tile/0/000.p/1", "tile/entries/000.p/1", f"envelopes/{digest}")
        for answer in [client.get(f"/log/{path}")]
    }
    forever = ("application/octet-stream", "public, max-age=31536000, immutable")
    assert found == {
        "checkpoint": ("text/plain; charset=utf-8", "no-cache"),
        "tile/0/000.p/1": forever,
        "tile/entries/000.p/1": forever,
        f"envelopes/{digest}": (
            "application/vnd.dsse.envelope.v1+json",
            "public, max-age=300",
        ),
    }


def test_who_holds_the_bytes_is_not_sent_them_again(client: Client, opened: None) -> None:
    first = client.get("/log/checkpoint")
    again = client.get("/log/checkpoint", headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert not again.has_header("Content-Length")  # 0 would be a lie about the checkpoint
    append_all(range(1))
    sequence()
    later = client.get("/log/checkpoint", headers={"If-None-Match": first["ETag"]})
    assert later.status_code == 200


def test_the_envelope_is_the_canonical_json_of_what_was_signed(
    client: Client, opened: None
) -> None:
    one: Envelope = claim(0).envelope
    claim(0).append()
    path = f"/log/envelopes/{one.pae_sha256.hex()}"
    assert client.get(path).status_code == 404  # no leaf names it yet
    sequence()
    assert client.get(path).content == one.to_json()


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/000",
        "tile/0/001.p/1",
        "tile/0/000.p/2",
        "tile/8/0/000",
        "tile/entries/000.p/01",
        "tile/0/../../keys/log.pem",
        "tile/",
        "envelopes/" + "0" * 64,
        "envelopes/" + sha256_hex(b"x").upper(),
        "envelopes/x",
        "elsewhere",
    ],
)
def test_what_is_not_there_is_404(client: Client, opened: None, path: str) -> None:
    append_all(range(1))
    sequence()
    answer = client.get(f"/log/{path}")
    assert (answer.status_code, answer["Cache-Control"]) == (404, "no-store")


@pytest.mark.parametrize("row", [row for row in forged("tile") if row["check"] == "tile.path"])
def test_every_second_spelling_of_a_path_is_404(client: Client, opened: None, row: Row) -> None:
    path = artefact_bytes(row).decode("utf-8", "replace")
    assert client.get("/log/" + path).status_code == 404


@pytest.mark.parametrize("path", ["checkpoint", "tile/0/000.p/1", "envelopes/" + "0" * 64])
def test_the_log_is_only_read(client: Client, opened: None, path: str) -> None:
    assert client.post(f"/log/{path}").status_code == 405
    assert client.delete(f"/log/{path}").status_code == 405


def test_head_requests_are_answered(client: Client, opened: None) -> None:
    answer = client.head("/log/checkpoint")
    assert answer.status_code == 200
    assert settings.LEDGER_ORIGIN == "localhost"


def test_a_storage_that_cannot_be_read_is_never_said_to_be_empty(
    client: Client, opened: None
) -> None:
    append_all(range(3))
    sequence()
    for path in ("checkpoint", "tile/0/000.p/3"):
        file = Path(settings.LEDGER_DIR) / path
        file.unlink()
        file.symlink_to(file)  # reading it fails for root too
    answer = client.get("/log/checkpoint")
    assert answer.status_code == 503
    assert answer["Cache-Control"] == "no-store"
    assert answer["Retry-After"] == "1"
    assert "try again" in answer.content.decode()
    answer = client.get("/ledger/0/bundle")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "storage_away"
    assert answer["Retry-After"] == "1"
