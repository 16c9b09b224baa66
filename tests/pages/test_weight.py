"""Pages are light: what each loads, compressed, before the reader asks for anything."""

from __future__ import annotations

from django.test import Client

from tests.ledger.builders import append_many, sequence
from tests.pages.conftest import Site
from tests.pages.test_every_page import ALICE, ANYONE, STRANGERS, address
from tests.pages.test_executions import succeeded
from tests.pages.weight import weight

READING, ANY = 40_000, 150_000
# Who signs, uploads, runs or checks needs our scripts; all else is read, the lists included.
WORKING = ("/models/{model}/run/", "/verify/")
FOREIGN = ("/api/v1/docs/",)  # Swagger's browser of the API: 490 kB, and nothing of ours needs it


def test_pages_that_are_read_weigh_40_kb_at_most(site: Site, reader: Client) -> None:
    reading = [one for one in (*ANYONE, *STRANGERS) if one not in (*WORKING, *FOREIGN)]
    heavy = {}
    for pattern in reading:
        parts = weight(reader.get(address(pattern, site)).content.decode())
        if sum(parts.values()) > READING:
            heavy[pattern] = parts
    assert heavy == {}


def test_no_page_weighs_more_than_150_kb(site: Site, as_alice: Client) -> None:
    heavy = {}
    for pattern in (*ANYONE, *ALICE):
        parts = weight(as_alice.get(address(pattern, site)).content.decode())
        if sum(parts.values()) > ANY and pattern not in FOREIGN:
            heavy[pattern] = parts
    assert heavy == {}


def test_the_verifier_and_its_desk_weigh_150_kb_together(site: Site, reader: Client) -> None:
    parts = weight(reader.get("/verify/").content.decode(), later=("js/verify/desk.js",))
    assert "js/assay/merkle.js" in parts
    assert sum(parts.values()) <= ANY, parts


def test_the_page_of_an_answer_is_light_too(site: Site, reader: Client) -> None:
    parts = weight(reader.get(f"/executions/{succeeded(site).pk}/").content.decode())
    assert sum(parts.values()) <= READING, parts


def test_full_lists_are_light_too(site: Site, reader: Client) -> None:
    for first in range(1000, 1120, 2):
        append_many(range(first, first + 2))
        sequence()
    for path in ("/ledger/", "/ledger/checkpoints/"):
        parts = weight(reader.get(path).content.decode())
        assert sum(parts.values()) <= READING, (path, parts)
