"""`/styleguide/` shows every component, to people who change the pages and to nobody else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from registry.errors import InvalidInputError
from registry.names import check_owner_name
from tests.pages.html import faults, parse

TEMPLATES = Path(__file__).parent.parent.parent / "templates"
# Parts of the frame, and what other components are made of.
FRAME = {"footer", "header", "logo", "messages", "styles", "passkey_note", "form_errors", "typed"}


@pytest.fixture
def shown(db: None, settings: Settings, reader: Client) -> str:
    settings.DEBUG = True
    answer = reader.get("/styleguide/")
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_it_keeps_the_rules_of_all_pages(shown: str) -> None:
    assert faults(parse(shown)) == []


def test_it_asks_the_database_for_nothing_but_the_frame(
    db: None, settings: Settings, reader: Client
) -> None:
    settings.DEBUG = True
    with CaptureQueriesContext(connection) as queries:
        reader.get("/styleguide/")
    assert len(queries) <= 3


def test_every_component_is_in_it(shown: str) -> None:
    source = (TEMPLATES / "styleguide.html").read_text(encoding="utf-8")
    used = set(re.findall(r'include "components/(\w+)\.html"', source))
    for name in sorted(used):  # what these include is shown, too
        text = (TEMPLATES / "components" / f"{name}.html").read_text(encoding="utf-8")
        used |= set(re.findall(r'include "components/(\w+)\.html"', text))
    there = {path.stem for path in (TEMPLATES / "components").glob("*.html")}
    assert there - FRAME - used == set()


def test_every_state_of_evidence_and_of_the_log_is_in_it(shown: str) -> None:
    for state in ("server", "checked", "failed", "unknown", "pending", "none"):
        assert f'data-state="{state}"' in shown
    for step in ("done", "now", "next", "failed"):
        assert f'data-step="{step}"' in shown
    for words in ("on hold", "has stopped", "No sequencer", "is frozen"):
        assert words in shown


def test_a_running_site_has_none(db: None, reader: Client) -> None:
    assert reader.get("/styleguide/").status_code == 404


def test_mallory_cannot_take_its_name() -> None:
    with pytest.raises(InvalidInputError, match="reserved"):
        check_owner_name("StyleGuide")
