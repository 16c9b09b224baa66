"""A receipt in the search box leads to what it is about; nothing about it is believed."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from assay.canonical import canonical_json
from assay.dsse import Envelope, compact, sign
from ledger import services as ledger
from registry.models import Release
from tests.ledger.builders import claim, private_key
from tests.pages.conftest import Site
from tests.pages.html import faults, parse


def entry_of(release: Release) -> int:
    return int(release.claims.get(kind="release").entry_id)


def paste(client: Client, text: str | bytes, status: int = 302) -> str:
    told = text.decode() if isinstance(text, bytes) else text
    answer = client.post("/search/", {"q": told})
    assert answer.status_code == status
    if status == 302:
        return str(answer["Location"])
    page = answer.content.decode()
    assert faults(parse(page)) == []
    return str(page)


def test_a_bundle_leads_to_its_entry(site: Site, reader: Client) -> None:
    bundle = ledger.receipt(entry_of(site.release))
    index = ledger.entry_status(entry_of(site.release)).index
    pretty = json.dumps(json.loads(bundle), indent=2)
    for text in (bundle, pretty, f"\n {pretty}\n"):
        assert paste(reader, text) == f"/ledger/{index}/"


def test_an_envelope_and_its_compact_form_are_known(site: Site, reader: Client) -> None:
    bundle = json.loads(ledger.receipt(entry_of(site.release)))
    index = ledger.entry_status(entry_of(site.release)).index
    envelope = bundle["dsseEnvelope"]
    assert paste(reader, json.dumps(envelope)) == f"/ledger/{index}/"
    assert paste(reader, json.dumps({"bundle": bundle})) == f"/ledger/{index}/"


def test_the_compact_form_may_be_broken_over_lines(site: Site, reader: Client) -> None:
    entry = claim(5).append()
    text = compact(claim(5).envelope)
    broken = "\n".join(text[i : i + 60] for i in range(0, len(text), 60))
    for one in (text, broken, json.dumps({"receipt": text})):
        assert paste(reader, one) == f"/ledger/pending/{entry}/"


def test_another_signature_over_the_same_statement_leads_there_too(
    site: Site, reader: Client
) -> None:
    # Looking it up is no check: the page that it leads to shows what the ledger holds.
    entry = claim(5).append()
    other = sign(claim(5).envelope.payload, private_key("mallory"))
    assert paste(reader, compact(other)) == f"/ledger/pending/{entry}/"


def test_a_statement_that_was_never_logged_is_told_apart(site: Site, reader: Client) -> None:
    page = paste(reader, claim(77).envelope.to_json(), 404)
    assert "Not in this ledger" in page
    assert claim(77).envelope.pae_sha256.hex()[:8] in page
    foreign = sign(b"no statement at all", private_key("mallory"))
    assert "Not in this ledger" in paste(reader, compact(foreign), 404)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "{}", "[]", "x" * 900, "a.b", '{"dsseEnvelope": 7}', '{"receipt": "x"}'),
        *('{"parameters": 3}', '{"bundle": []}', '{"a": ' * 500, "<script>alert(1)</script>"),
        *("\0", "é.é", '{"dsseEnvelope": {"payload": "!"}}'),
    ],
)
def test_what_is_no_receipt_is_told_so(text: str, site: Site, reader: Client) -> None:
    page = paste(reader, text, 400)
    assert "Not a receipt" in page
    assert "<script>alert" not in page


def test_a_text_that_is_too_long_is_refused(site: Site, reader: Client) -> None:
    assert reader.post("/search/", {"q": "{" * 3_000_000}).status_code in (400, 413)


def test_who_was_signed_out_elsewhere_can_still_look(site: Site) -> None:
    strict = Client(enforce_csrf_checks=True)
    bundle = ledger.receipt(entry_of(site.release)).decode()
    assert strict.post("/search/", {"q": bundle}).status_code == 302


def test_a_claim_about_a_private_model_leads_to_its_entry(site: Site, as_bob: Client) -> None:
    release = site.secret.releases.get()
    index = ledger.entry_status(entry_of(release)).index
    assert paste(as_bob, ledger.receipt(entry_of(release))) == f"/ledger/{index}/"


def test_an_envelope_of_another_type_is_nothing_here(site: Site, reader: Client) -> None:
    envelope = claim(5).envelope
    odd = Envelope(payload=envelope.payload, signature=envelope.signature, payload_type="text/x")
    assert "Not in this ledger" in paste(reader, canonical_json(odd.to_dict()), 404)
