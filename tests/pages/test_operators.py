"""What staff read of the site's own state, and who does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from ledger import services as ledger
from ledger.choices import LeaderState
from ledger.leadership import begin_term, tell
from tests.ledger.builders import claim, sequence
from tests.pages.conftest import ACCEPT
from tests.pages.html import faults, parse
from tests.pages.test_every_page import MAX_QUERIES
from tests.people import Person

PAGES = ("/admin/state/", "/admin/state/queue/", "/admin/state/ledger/")


@pytest.fixture(autouse=True)
def nobody_runs_models(settings: Settings, tmp_path: Path) -> None:
    settings.EXECUTOR_SOCKET = tmp_path / "nobody.sock"


@pytest.fixture
def operator(admin_client: Client) -> Client:
    admin_client.defaults["HTTP_ACCEPT"] = ACCEPT
    return admin_client


def read(client: Client, path: str) -> str:
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(path)
    assert answer.status_code == 200, path
    assert "no-store" in answer["Cache-Control"]
    text = answer.content.decode()
    assert faults(parse(text)) == [], path
    assert len(queries) <= MAX_QUERIES, [query["sql"][:150] for query in queries.captured_queries]
    return text


def test_an_operator_reads_every_page_on_the_first_day(operator: Client) -> None:
    for path in PAGES:
        read(operator, path)
    assert "No log yet" in read(operator, PAGES[2])
    assert "No executor answers" in read(operator, PAGES[1])
    assert "manage.py doctor" in read(operator, PAGES[0])


def test_the_ledgers_page_says_who_leads_and_what_waits(operator: Client) -> None:
    ledger.ensure_log()
    claim(1).append()
    sequence()
    claim(2).append()
    tell("localhost", begin_term("localhost"), LeaderState.HELD, "The disk is nearly full.")
    text = read(operator, PAGES[2])
    assert "The disk is nearly full." in text
    assert "<dt>Wait for a place</dt><dd>1</dd>" in text
    assert "by nobody" in text


def test_a_policy_that_is_malformed_is_told_on_the_page(
    operator: Client, settings: Settings
) -> None:
    ledger.ensure_log()
    settings.WITNESS_POLICY.write_text("nonsense\n")
    assert "malformed" in read(operator, PAGES[2])


def test_staff_see_what_they_may_see_in_the_admin_too(alice: Person, as_alice: Client) -> None:
    alice.user.is_staff = True
    alice.user.save()
    assert {as_alice.get(path).status_code for path in PAGES} == {403}
    alice.user.user_permissions.add(Permission.objects.get(codename="view_log"))
    assert [as_alice.get(path).status_code for path in PAGES] == [200, 403, 200]
    assert PAGES[1] not in read(as_alice, PAGES[0])


def test_mallory_is_turned_away(reader: Client, mallory: Person) -> None:
    for path in PAGES:
        assert reader.get(path)["Location"].startswith("/accounts/login/?next=")
    reader.force_login(mallory.user, backend="django.contrib.auth.backends.ModelBackend")
    assert {reader.get(path).status_code for path in PAGES} == {403}
    assert {reader.post(path).status_code for path in PAGES} <= {403, 405}
