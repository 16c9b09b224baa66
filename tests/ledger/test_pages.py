"""`/ledger/`: people read the log, and find in it what they look for."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from assay.statements import Statement, Subject, render
from ledger.choices import Kind
from ledger.models import Entry, Log, Payload
from ledger.summary import summary
from tests.ledger.builders import claim, sequence
from tests.ledger.witness import Witness
from tests.people import PASSWORD


@pytest.fixture
def written(opened: None, wanda: Witness) -> list[int]:
    """Three entries about alice's model, two of bob's."""
    ids = [claim(number).append(model="alice/digits") for number in range(3)]
    sequence()
    ids += [claim(number, by="bob").append(model="bob/wine") for number in range(3, 5)]
    sequence()
    return ids


def context(client: Client, path: str, status: int = 200) -> Any:
    answer = client.get(path)
    assert answer.status_code == status
    return answer.context


def indices(found: Any) -> list[int]:
    return [row["index"] for row in found["entries"]]


def test_an_empty_log_has_a_page(client: Client, opened: None) -> None:
    assert indices(context(client, "/ledger/")) == []


def test_the_newest_entries_come_first(client: Client, written: list[int]) -> None:
    found = context(client, "/ledger/")
    assert indices(found) == [4, 3, 2, 1, 0]
    assert found["entries"][0]["statement_summary"] == "hide category 4"
    assert found["next_before"] is None
    assert b"category 4" in client.get("/ledger/").content


def test_older_pages_are_found_by_index(
    client: Client, written: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.views.pages.PAGE", 2)
    found = context(client, "/ledger/?kind=moderation")
    assert (indices(found), found["next_before"]) == ([4, 3], 3)
    assert found["next_query"] == "kind=moderation&before=3"
    assert indices(context(client, "/ledger/?before=3")) == [2, 1]
    assert indices(context(client, "/ledger/?before=1")) == [0]
    assert indices(context(client, "/ledger/?before=nonsense")) == [4, 3]


def test_entries_are_filtered_by_kind_and_model(client: Client, written: list[int]) -> None:
    assert indices(context(client, "/ledger/?model=bob/wine")) == [4, 3]
    assert indices(context(client, "/ledger/?kind=release")) == []
    assert indices(context(client, "/ledger/?kind=unknown")) == [4, 3, 2, 1, 0]


def test_an_entry_shows_statement_bytes_and_proof(client: Client, written: list[int]) -> None:
    found = context(client, "/ledger/1/")
    one = claim(1)
    assert found["raw_payload"] == one.envelope.payload.decode()
    assert found["envelope_json"] == one.envelope.to_json().decode()
    assert found["key_pem"] == one.key.pem
    assert (found["previous"], found["next"]) == (0, 2)
    proof = found["proof"]
    assert (proof["size"], len(proof["hashes"])) == (5, 3)
    assert "localhost\n5\n" in str(found["checkpoint_note"])
    assert '"predicateType": "urn:assay:moderation:v1"' in str(found["statement_json"])
    last = context(client, "/ledger/4/")
    assert (last["previous"], last["next"]) == (3, None)


def test_an_entry_that_no_checkpoint_covers_has_no_proof_yet(client: Client, opened: None) -> None:
    entry = claim(1).append()
    Entry.objects.filter(pk=entry).update(index=0)
    found = context(client, "/ledger/0/")
    assert (found["proof"], found["checkpoint_note"]) == (None, "")


def test_an_index_that_is_not_there_is_said_to_be_pending(
    client: Client, written: list[int]
) -> None:
    assert context(client, "/ledger/99/", status=404)["index"] == 99
    assert client.get("/ledger/99999999999999999999/").status_code == 404


def test_a_pending_entry_has_a_page_that_leads_to_its_index(
    client: Client, written: list[int]
) -> None:
    entry = claim(9).append()
    assert "raw_payload" in context(client, f"/ledger/pending/{entry}/")
    sequence()
    answer = client.get(f"/ledger/pending/{entry}/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/ledger/5/")
    assert client.get("/ledger/pending/0/").status_code == 404


def test_a_checkpoint_shows_its_note_and_who_cosigned_it(
    client: Client, written: list[int], wanda: Witness
) -> None:
    found = context(client, "/ledger/checkpoints/3/")
    assert "— wanda " in str(found["note_text"])
    assert (found["previous"], found["next"]) == (0, 5)
    assert b"wanda" in client.get("/ledger/checkpoints/3/").content
    assert client.get("/ledger/checkpoints/4/").status_code == 404


# ---------------------------------------------------------------- search


def location(client: Client, query: str) -> str:
    answer = client.get("/ledger/search", {"q": query})
    assert answer.status_code == 302, answer.content
    return str(answer.headers["Location"])


def test_search_leads_to_an_entry(client: Client, written: list[int]) -> None:
    subject = Entry.objects.get(index=3).subjects.get().sha256
    assert location(client, "3") == "/ledger/3/"
    assert location(client, subject) == "/ledger/3/"
    assert location(client, f" sha256:{subject.upper()} ") == "/ledger/3/"
    assert location(client, claim(2).envelope.pae_sha256.hex()) == "/ledger/2/"


def test_search_leads_to_a_pending_entry_too(client: Client, written: list[int]) -> None:
    entry = claim(9).append()
    digest = claim(9).envelope.pae_sha256.hex()
    assert location(client, digest) == f"/ledger/pending/{entry}/"


def test_search_lists_what_a_key_signed(client: Client, written: list[int]) -> None:
    fingerprint = claim(0, by="bob").key.fingerprint
    found = context(client, f"/ledger/search?q={fingerprint}")
    assert (indices(found), found["query"]) == ([4, 3], fingerprint)


@pytest.mark.parametrize("query", ["", "99", "nonsense", "0" * 64, "<script>"])
def test_search_that_finds_nothing_says_so(client: Client, written: list[int], query: str) -> None:
    answer = client.get("/ledger/search", {"q": query})
    assert answer.status_code == 200
    assert answer.context["entries"] == []
    assert b"<script>" not in answer.content


# ---------------------------------------------------------------- summaries


def test_a_strangers_statement_is_summarised_by_its_subject(opened: None) -> None:
    payload = Payload(payload=b"no statement")
    assert summary(Entry(kind=Kind.CARD, payload=payload)) == ""
    statement = Statement(
        subjects=(Subject(name="digits", sha256="0" * 64),),
        predicate_type="urn:assay:card:v1",
        predicate={"model": 7},
    )
    odd = Payload(payload=render(statement))
    assert summary(Entry(kind=Kind.CARD, payload=odd)) == "digits"
    assert summary(Entry(kind=Kind.MODEL_SIGNATURE, payload=odd)) == "digits"


# ---------------------------------------------------------------- the admin


def test_the_admin_shows_the_log_and_changes_nothing(client: Client, written: list[int]) -> None:
    get_user_model().objects.create_superuser("root", "root@example.org", PASSWORD)
    assert client.login(username="root", password=PASSWORD)
    for name in ("entry", "log", "checkpoint", "cosignature"):
        assert client.get(f"/admin/ledger/{name}/").status_code == 200
        assert client.get(f"/admin/ledger/{name}/add/").status_code == 403
    for name, pk in (("entry", written[0]), ("log", Log.objects.get().pk)):
        assert client.get(f"/admin/ledger/{name}/{pk}/change/").status_code == 200
        assert client.post(f"/admin/ledger/{name}/{pk}/change/", {}).status_code == 403
        assert client.post(f"/admin/ledger/{name}/{pk}/delete/", {}).status_code == 403


def test_rows_have_names(written: list[int]) -> None:
    waiting = Entry.objects.get(pk=claim(9).append())
    log = Log.objects.get()
    newest = log.checkpoints.latest()
    assert str(log) == "localhost"
    assert str(waiting) == "moderation #pending"
    assert str(Entry.objects.get(index=3)) == "moderation #3"
    assert str(waiting.payload) == claim(9).envelope.pae_sha256.hex()
    assert str(waiting.subjects.get()) == "thing-9"
    assert str(newest) == f"{log.pk}@5"
    assert str(newest.cosignatures.get()) == f"wanda on {newest.pk}"


def test_a_name_that_no_row_can_hold_finds_nothing(client: Client, opened: None) -> None:
    assert client.get("/ledger/", {"model": "alice/\0"}).status_code == 200
