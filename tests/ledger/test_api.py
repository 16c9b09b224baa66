"""`/api/v1/ledger/`: programs search the log."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from assay.bundle import parse_bundle
from assay.canonical import canonical_json
from ledger import services as ledger
from ledger.models import Entry
from tests.ledger.builders import claim, sequence
from tests.ledger.witness import Witness

API = "/api/v1/ledger"


@pytest.fixture
def written(opened: None, wanda: Witness) -> None:
    for number in range(3):
        claim(number).append(model="alice/digits")
    claim(3, by="bob").append(model="bob/wine")
    sequence()


def get(client: Client, path: str, status: int = 200) -> Any:
    answer = client.get(f"{API}/{path}")
    assert answer.status_code == status, answer.content
    return answer.json()


def found(client: Client, query: str) -> list[int]:
    return [entry["index"] for entry in get(client, f"entries?{query}")["entries"]]


def test_the_head_is_the_published_checkpoint(client: Client, written: None) -> None:
    head = get(client, "head")
    signed = ledger.newest_checkpoint()
    assert (head["origin"], head["size"], head["root"]) == ("localhost", 4, signed.root.hex())
    assert (head["witnesses"], head["quorum"]) == (1, 1)
    assert head["note"].encode() == signed.note
    assert 0 <= head["age_s"] < 600


@pytest.mark.django_db
def test_before_the_log_is_open_the_answer_is_503(client: Client) -> None:
    assert get(client, "head", status=503)["error"]["code"] == "log_busy"


def test_entries_come_in_pages_by_index(client: Client, written: None) -> None:
    page = get(client, "entries?limit=3")
    assert [entry["index"] for entry in page["entries"]] == [3, 2, 1]
    assert page["next_before"] == 1
    last = get(client, "entries?limit=3&before=1")
    assert ([entry["index"] for entry in last["entries"]], last["next_before"]) == ([0], None)


def test_entries_are_found_by_kind_model_and_digest(client: Client, written: None) -> None:
    subject = Entry.objects.get(index=2).subjects.get().sha256
    assert found(client, "kind=release") == []
    assert found(client, "kind=moderation&model=bob/wine") == [3]
    assert found(client, f"digest={subject}") == [2]
    assert found(client, f"digest={claim(1).envelope.pae_sha256.hex()}") == [1]
    assert found(client, f"digest={claim(0).key.fingerprint}") == [2, 1, 0]
    assert found(client, "digest=" + "0" * 64) == []


@pytest.mark.parametrize(
    "query", ["before=x", "before=-1", "kind=x", "digest=x", "digest=" + "A" * 64, "limit=0"]
)
def test_a_malformed_question_is_400_and_names_the_field(
    client: Client, written: None, query: str
) -> None:
    error = get(client, f"entries?{query}", status=400)["error"]
    assert error["code"] == "invalid_input"
    assert list(error["detail"]["fields"]) == [query.split("=")[0]]


def test_an_entry_comes_with_statement_envelope_and_bundle(client: Client, written: None) -> None:
    entry = get(client, "entries/1")
    one = claim(1)
    assert entry["payload"] == one.envelope.pae_sha256.hex()
    assert entry["envelope"] == one.envelope.to_dict()
    assert entry["statement"]["predicateType"] == one.statement.predicate_type
    assert entry["subjects"] == [{"name": "thing-1", "sha256": one.statement.subjects[0].sha256}]
    assert entry["summary"] == "hide category 1"
    bundle = parse_bundle(canonical_json(entry["bundle"]))
    assert bundle.entry.index == 1
    assert entry["leaf_hash"] == bytes(Entry.objects.get(index=1).leaf_hash).hex()


def test_an_entry_that_no_checkpoint_covers_has_no_bundle(client: Client, opened: None) -> None:
    Entry.objects.filter(pk=claim(1).append()).update(index=0)
    assert get(client, "entries/0")["bundle"] is None


def test_an_index_that_is_not_there_is_404(client: Client, written: None) -> None:
    assert get(client, "entries/4", status=404)["error"]["code"] == "not_found"
