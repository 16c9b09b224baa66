"""`/api/v1/ledger/`: programs search the log."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from assay.bundle import parse_bundle
from assay.canonical import canonical_json
from ledger import services as ledger
from ledger.models import Entry, Leader
from tests.ledger.builders import claim, sequence
from tests.ledger.shards import OLD, freeze_one_before, sequence_here
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
    assert (head["state"], head["reason"]) == ("leading", "")


def test_the_head_says_when_nothing_is_logged_and_why(client: Client, written: None) -> None:
    Leader.objects.update(state="held", reason="The disk is full.")
    head = get(client, "head")
    assert (head["state"], head["reason"], head["size"]) == ("held", "The disk is full.", 4)
    Leader.objects.update(state="leading", beat_at=timezone.now() - timedelta(minutes=5))
    assert get(client, "head")["state"] == "absent"


@pytest.mark.django_db
def test_before_the_log_is_open_the_answer_is_503(client: Client) -> None:
    assert get(client, "head", status=503)["error"]["code"] == "log_busy"


def test_entries_come_in_pages_by_index(client: Client, written: None) -> None:
    page = get(client, "entries?limit=3")
    assert [entry["index"] for entry in page["entries"]] == [3, 2, 1]
    assert (page["next_before"], page["next_after"]) == (1, None)
    last = get(client, "entries?limit=3&before=1")
    assert ([entry["index"] for entry in last["entries"]], last["next_before"]) == ([0], None)


def test_entries_are_found_by_kind_model_and_digest(client: Client, written: None) -> None:
    subject = Entry.objects.get(index=2).subjects.get().sha256
    assert found(client, "kind=release") == []
    assert found(client, "kind=moderation&model=bob/wine") == [3]
    assert found(client, f"digest={subject}") == [2]
    assert found(client, f"digest={claim(1).envelope.pae_sha256.hex()}") == [1]
    assert found(client, f"digest={claim(0).key.fingerprint}") == [2, 1, 0]
    assert found(client, f"digest={bytes(Entry.objects.get(index=1).leaf_hash).hex()}") == [1]
    assert found(client, "digest=" + "0" * 64) == []


def test_entries_are_found_by_owner_and_signer(client: Client, written: None) -> None:
    bob = claim(0, by="bob").key.fingerprint
    assert found(client, "owner=alice") == [2, 1, 0]
    assert found(client, f"signer={bob}") == [3]
    assert found(client, f"signer={bob}&owner=alice") == []
    assert get(client, "entries?owner=bob")["entries"][0]["owner"] == "bob"


def test_a_program_follows_the_log_upward(client: Client, written: None) -> None:
    page = get(client, "entries?after=-1&limit=3")
    assert [entry["index"] for entry in page["entries"]] == [2, 1, 0]
    assert (page["next_after"], page["next_before"]) == (2, None)
    page = get(client, "entries?after=2&limit=3")
    assert [entry["index"] for entry in page["entries"]] == [3]
    assert (page["next_after"], page["next_before"]) == (None, 3)
    assert found(client, "after=0&before=3") == [2, 1]
    assert found(client, f"after={2**63 - 2}") == []
    assert found(client, f"before={2**63 - 1}") == [3, 2, 1, 0]


def test_what_waits_comes_with_the_newest_entries(client: Client, written: None) -> None:
    claim(9).append(model="alice/digits")
    digest = claim(9).envelope.pae_sha256.hex()
    (waiting,) = get(client, f"entries?digest={digest}")["pending"]
    assert (waiting["index"], waiting["payload"]) == (None, digest)
    assert len(get(client, "entries")["pending"]) == 1
    assert get(client, "entries?model=bob/wine")["pending"] == []
    assert get(client, "entries?before=3")["pending"] == []


@pytest.mark.parametrize(
    "query",
    [
        *("before=x", "before=-1", "after=-2", f"after={2**63}", "kind=x", "limit=0", "limit=201"),
        *("digest=x", "digest=" + "A" * 64, "signer=x", "model=%00", "log=%00"),
    ],
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
    assert (entry["log"], entry["model"], entry["owner"]) == ("localhost", "alice/digits", "alice")
    assert entry["leaf_hash"] == bytes(Entry.objects.get(index=1).leaf_hash).hex()


def test_an_entry_that_no_checkpoint_covers_has_no_bundle(client: Client, opened: None) -> None:
    Entry.objects.filter(pk=claim(1).append()).update(index=0)
    assert get(client, "entries/0")["bundle"] is None


def test_an_index_that_is_not_there_is_404(client: Client, written: None) -> None:
    assert get(client, "entries/4", status=404)["error"]["code"] == "not_found"


# ---------------------------------------------------------------- a claim whose answer got lost


def test_a_claim_is_found_again_by_key_and_payload(client: Client, written: None) -> None:
    one = claim(9)
    path = f"claims/{one.key.fingerprint}/{one.envelope.pae_sha256.hex()}"
    assert get(client, path, status=404)["error"]["code"] == "not_found"
    one.append()
    waiting = get(client, path)
    assert (waiting["index"], waiting["bundle"], waiting["log"]) == (None, None, "localhost")
    assert waiting["envelope"] == one.envelope.to_dict()
    sequence()
    logged = get(client, path)
    assert logged == get(client, f"entries/{logged['index']}")
    assert parse_bundle(canonical_json(logged["bundle"])).entry.index == 4


def test_the_twin_of_a_signature_finds_the_claim_that_is_logged(
    client: Client, written: None
) -> None:
    twin = claim(1).twin()
    path = f"claims/{twin.key.fingerprint}/{twin.envelope.pae_sha256.hex()}"
    assert get(client, path)["envelope"] == claim(1).envelope.to_dict()
    assert get(client, path)["index"] == 1


@pytest.mark.parametrize("path", ["claims/x/" + "0" * 64, "claims/" + "0" * 64 + "/" + "A" * 64])
def test_a_malformed_claim_is_400(client: Client, written: None, path: str) -> None:
    error = get(client, path, status=400)["error"]
    assert error["code"] == "invalid_input"
    assert "64 lower-case hex digits" in error["message"]


# ---------------------------------------------------------------- checkpoints and logs


def test_checkpoints_come_with_their_cosignatures(
    client: Client, written: None, wanda: Witness
) -> None:
    claim(9).append()
    sequence()
    page = get(client, "checkpoints?limit=2")
    newest, older = page["checkpoints"]
    assert (newest["size"], older["size"]) == (5, 4)
    assert (page["next_before"], page["next_after"]) == (4, None)
    assert newest["root"] == ledger.newest_checkpoint().root.hex()
    assert newest["published_at"] >= newest["signed_at"]
    assert newest["cosignatures"] == [
        {"witness": "wanda", "key_id": wanda.vkey.key_id.hex(), "time": "2026-01-01T00:00:00Z"}
    ]
    last = get(client, "checkpoints?before=4")
    assert [row["size"] for row in last["checkpoints"]] == [0]
    assert (last["next_before"], last["next_after"]) == (None, 0)
    up = get(client, "checkpoints?after=0&limit=1")
    assert ([row["size"] for row in up["checkpoints"]], up["next_after"]) == ([4], 4)
    assert get(client, "checkpoints?before=x", status=400)["error"]["code"] == "invalid_input"


def test_the_logs_say_which_is_current_and_which_went_before(
    client: Client, db: None, settings: Settings, tmp_path: Path
) -> None:
    old = freeze_one_before(settings, tmp_path, range(3))
    claim(7).append()
    sequence_here()
    first, second = get(client, "logs")["logs"]
    assert (first["origin"], first["vkey"], first["size"]) == (OLD, old.vkey, 3)
    assert (first["successor"], first["current"]) == ("localhost", False)
    assert first["frozen_at"] is not None
    assert (second["origin"], second["current"]) == ("localhost", True)
    assert (second["url"], second["frozen_at"]) == (settings.LEDGER_URL, None)
    assert [entry["index"] for entry in get(client, f"entries?log={OLD}")["entries"]] == [2, 1, 0]
    entry = get(client, f"entries/1?log={OLD}")
    assert entry["log"] == OLD
    assert parse_bundle(canonical_json(entry["bundle"])).entry.index == 1
    assert get(client, "entries/1", status=404)["error"]["code"] == "not_found"
    sizes = [row["size"] for row in get(client, f"checkpoints?log={OLD}")["checkpoints"]]
    assert sizes == [3, 0]
    one = claim(1)
    path = f"claims/{one.key.fingerprint}/{one.envelope.pae_sha256.hex()}"
    assert get(client, path)["log"] == OLD


def test_a_log_that_is_not_here_is_404(client: Client, written: None) -> None:
    for path in ("entries", "entries/0", "checkpoints"):
        error = get(client, f"{path}?log=elsewhere.example.org", status=404)["error"]
        assert error["code"] == "unknown_log"
        assert "elsewhere.example.org" in error["message"]
