"""`/ledger/`: people find in the log what they look for, page by page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from assay.statements import Statement, Subject, render
from ledger.choices import Kind
from ledger.models import Allowance, Entry, Leader, Log, Payload, StagedPayload
from ledger.summary import summary
from tests.ledger.builders import claim, sequence
from tests.ledger.shards import OLD, freeze_one_before
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
    return [row["entry"].index for row in found["entries"]]


def text(client: Client, path: str) -> str:
    """Return a page as one line of text."""
    return " ".join(client.get(path).content.decode().split())


def test_an_empty_log_has_a_page(client: Client, opened: None) -> None:
    assert indices(context(client, "/ledger/")) == []
    assert "The log is empty" in text(client, "/ledger/")


def test_the_newest_entries_come_first(client: Client, written: list[int]) -> None:
    found = context(client, "/ledger/")
    assert indices(found) == [4, 3, 2, 1, 0]
    assert found["entries"][0]["summary"] == "hide category 4"
    assert (found["newer_url"], found["older_url"]) == (None, None)
    assert b"category 4" in client.get("/ledger/").content


def test_pages_lead_to_older_entries_and_back(
    client: Client, written: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.views.listing.PAGE", 2)
    first = context(client, "/ledger/?kind=moderation")
    assert (indices(first), first["newer_url"]) == ([4, 3], None)
    assert first["older_url"] == "/ledger/?kind=moderation&before=3"
    second = context(client, first["older_url"])
    assert (indices(second), second["newer_url"]) == ([2, 1], "/ledger/?kind=moderation&after=2")
    last = context(client, second["older_url"])
    assert (indices(last), last["older_url"]) == ([0], None)
    back = context(client, last["newer_url"])
    assert indices(back) == [2, 1]
    assert indices(context(client, back["newer_url"])) == [4, 3]
    assert '<a class="button" href="/ledger/?kind=moderation">Newest</a>' in text(
        client, second["older_url"]
    )
    assert indices(context(client, "/ledger/?before=nonsense&after=-1")) == [4, 3]


def test_a_part_of_the_log_without_entries_leads_on(client: Client, written: list[int]) -> None:
    found = context(client, "/ledger/?after=40")
    assert (indices(found), found["older_url"]) == ([], "/ledger/?before=41")
    assert "Nothing on this page" in text(client, "/ledger/?after=40")


def test_entries_are_filtered_by_kind_model_owner_and_signer(
    client: Client, written: list[int]
) -> None:
    bob = claim(0, by="bob").key.fingerprint
    assert indices(context(client, "/ledger/?model=bob/wine")) == [4, 3]
    assert indices(context(client, "/ledger/?kind=release")) == []
    assert indices(context(client, "/ledger/?kind=unknown")) == [4, 3, 2, 1, 0]
    assert indices(context(client, "/ledger/?owner=alice")) == [2, 1, 0]
    assert indices(context(client, f"/ledger/?signer={bob.upper()}")) == [4, 3]
    assert indices(context(client, f"/ledger/?signer={bob}&owner=alice")) == []
    assert indices(context(client, "/ledger/?signer=nonsense")) == []


def test_each_filter_can_be_taken_off_alone(client: Client, written: list[int]) -> None:
    found = context(client, "/ledger/?kind=moderation&model=bob/wine")
    assert [(chip["value"], chip["without"]) for chip in found["chips"]] == [
        ("moderation", "/ledger/?model=bob%2Fwine"),
        ("bob/wine", "/ledger/?kind=moderation"),
    ]
    assert "2 entries match" in text(client, "/ledger/?model=bob/wine")
    assert "Only a full audit proves absence" in text(client, "/ledger/?model=bob/beer")


def test_many_matches_are_not_all_counted(
    client: Client, written: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.views.listing.PAGE", 2)
    assert context(client, "/ledger/?owner=alice")["matches"] == 3
    monkeypatch.setattr("ledger.views.listing.COUNTED", 2)
    assert "More than 2 entries match" in text(client, "/ledger/?owner=alice")


def test_what_waits_stands_above_the_newest_entries(client: Client, written: list[int]) -> None:
    entry = claim(9).append(model="alice/digits")
    found = context(client, "/ledger/?owner=alice")
    assert [row["entry"].pk for row in found["waiting"]] == [entry]
    assert found["matches"] == 4
    assert f'<a href="/ledger/pending/{entry}/">waiting</a>' in text(client, "/ledger/")
    assert context(client, "/ledger/?before=3")["waiting"] == []


def test_an_entry_above_the_newest_checkpoint_is_marked(client: Client, opened: None) -> None:
    Entry.objects.filter(pk=claim(1).append()).update(index=0)
    assert "no checkpoint yet" in text(client, "/ledger/")


# ---------------------------------------------------------------- search


def location(client: Client, query: str) -> str:
    answer = client.get("/ledger/search", {"q": query})
    assert answer.status_code == 302, answer.content
    return str(answer.headers["Location"])


def test_search_leads_to_an_entry(client: Client, written: list[int]) -> None:
    entry = Entry.objects.get(index=3)
    subject = entry.subjects.get().sha256
    pae = claim(2).envelope.pae_sha256.hex()
    assert location(client, "3") == "/ledger/3/"
    assert location(client, "#3") == "/ledger/3/"
    assert location(client, subject) == "/ledger/3/"
    assert location(client, f" sha256:{subject.upper()} ") == "/ledger/3/"
    assert location(client, pae) == "/ledger/2/"
    assert location(client, f"https://example.org/log/envelopes/{pae}") == "/ledger/2/"
    assert location(client, bytes(entry.leaf_hash).hex()) == "/ledger/3/"


def test_search_leads_to_an_execution(client: Client, written: list[int]) -> None:
    execution = "01890a5d-ac96-774b-bcce-b302099a8057"
    assert location(client, execution.upper()) == f"/executions/{execution}/"


def test_search_leads_to_a_pending_entry_too(client: Client, written: list[int]) -> None:
    entry = claim(9).append()
    digest = claim(9).envelope.pae_sha256.hex()
    assert location(client, digest) == f"/ledger/pending/{entry}/"


def test_search_lists_what_a_key_signed_and_says_how_it_was_found(
    client: Client, written: list[int]
) -> None:
    fingerprint = claim(0, by="bob").key.fingerprint
    found = context(client, f"/ledger/search?q={fingerprint}")
    assert (indices(found), found["chosen"]["q"]) == ([4, 3], fingerprint)
    shown = text(client, f"/ledger/search?q={fingerprint}")
    assert "Read as <strong>a SHA-256</strong>. 2 entries match." in shown
    assert shown.count("<td>signing key</td>") == 2


def test_search_takes_the_name_of_a_model_or_an_owner(client: Client, written: list[int]) -> None:
    assert indices(context(client, "/ledger/?q=bob/wine")) == [4, 3]
    assert "Read as <strong>the name of a model" in text(client, "/ledger/?q=bob/wine")
    assert indices(context(client, "/ledger/?q=alice")) == [2, 1, 0]
    assert "Read as <strong>the name of an owner" in text(client, "/ledger/?q=alice")
    assert indices(context(client, "/ledger/?q=alice&model=bob/wine")) == []


def test_one_match_among_chosen_filters_stays_in_the_list(
    client: Client, written: list[int]
) -> None:
    subject = Entry.objects.get(index=3).subjects.get().sha256
    assert indices(context(client, f"/ledger/?q={subject}&kind=moderation")) == [3]
    assert indices(context(client, f"/ledger/?q={subject}&before=4")) == [3]


def test_the_form_sends_empty_filters_and_search_still_leads_on(
    client: Client, written: list[int]
) -> None:
    subject = Entry.objects.get(index=3).subjects.get().sha256
    empty = {"kind": "", "model": "", "owner": "", "signer": ""}
    answer = client.get("/ledger/", {"q": subject, **empty})
    assert answer.headers["Location"] == "/ledger/3/"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("99", "There is no entry 99 as of this page: the log has 5 so far"),
        ("no such thing", "This is no index, SHA-256, name"),
        ("0" * 64, "Only a full audit proves absence"),
        ("<script>", "This is no index, SHA-256, name"),
        ("carol", "Only a full audit proves absence"),
    ],
)
def test_search_that_finds_nothing_says_why(
    client: Client, written: list[int], query: str, words: str
) -> None:
    answer = client.get("/ledger/search", {"q": query})
    assert answer.status_code == 200
    assert answer.context["entries"] == []
    assert words in answer.content.decode()
    assert b"<script>" not in answer.content


def test_search_for_nothing_is_the_list(client: Client, written: list[int]) -> None:
    assert indices(context(client, "/ledger/search?q=")) == [4, 3, 2, 1, 0]


# ---------------------------------------------------------------- another log


def test_a_frozen_log_is_searched_by_its_name(
    client: Client, db: None, settings: Settings, tmp_path: Path
) -> None:
    freeze_one_before(settings, tmp_path, range(3))
    claim(7).append()
    found = context(client, f"/ledger/?log={OLD}&kind=moderation")
    assert (indices(found), found["waiting"]) == ([2, 1, 0], [])
    assert found["chips"][0]["without"] == f"/ledger/?log={OLD}"
    assert f'href="/ledger/2/?log={OLD}"' in text(client, f"/ledger/?log={OLD}")
    assert "This log is frozen" in text(client, f"/ledger/?log={OLD}")
    answer = client.get("/ledger/", {"log": OLD, "q": "1"})
    assert answer.headers["Location"] == f"/ledger/1/?log={OLD}"
    assert indices(context(client, "/ledger/?log=localhost")) == []
    assert f'<option value="{OLD}">{OLD} (frozen)</option>' in text(client, "/ledger/")


def test_a_log_that_is_not_here_is_404(client: Client, written: list[int]) -> None:
    for name in ("elsewhere.example.org", "x\0", "x" * 1000):
        assert client.get("/ledger/", {"log": name}).status_code == 404


def test_before_the_log_is_open_its_pages_say_so(client: Client, db: None) -> None:
    paths = ("/ledger/", "/ledger/0/", "/ledger/checkpoints/", "/ledger/logs/")
    assert {client.get(path).status_code for path in paths} == {503}
    Log.objects.create(origin="localhost", vkey="", root=bytes(32))  # no checkpoint yet
    assert {client.get(path).status_code for path in paths} == {503}


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
    log, now = Log.objects.get(), timezone.now()
    StagedPayload.objects.create(pae_sha256=bytes(32), payload=b"{}", staged_by="user:1")
    Allowance.objects.create(name="user:1", tokens=3.0, at=now)
    Leader.objects.update_or_create(
        log=log, defaults={"term": 1, "name": "here", "state": "held", "since": now, "beat_at": now}
    )
    for name in (
        *("entry", "log", "checkpoint", "cosignature"),
        *("leader", "stagedpayload", "allowance"),
    ):
        assert client.get(f"/admin/ledger/{name}/").status_code == 200
        assert client.get(f"/admin/ledger/{name}/add/").status_code == 403
    for name, pk in (
        *(("entry", written[0]), ("log", log.pk), ("leader", log.pk)),
        ("allowance", "user_3A1"),
    ):
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
