"""The status page tells what the log's sequencer does, and why nothing is logged."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from config.stack import sequencer_leads
from ledger import services as ledger
from ledger.choices import LeaderState
from ledger.leadership import begin_term, tell
from ledger.models import Leader
from tests.ledger.builders import claim, sequence

pytestmark = pytest.mark.django_db


@pytest.fixture
def opened() -> None:
    ledger.ensure_log()


def parts(reader: Client) -> dict[str, tuple[str, str]]:
    """Return state and text of each part of the page."""
    found = reader.get("/status/").context["parts"]
    return {name: (state, text) for name, state, text in found}


def test_before_the_log_is_open_it_is_down(reader: Client) -> None:
    assert parts(reader)["Ledger"][0] == "down"
    assert not sequencer_leads()


def test_a_log_that_nobody_leads_says_so(reader: Client, opened: None) -> None:
    assert parts(reader)["Ledger"][0] == "not leading"
    assert not sequencer_leads()
    begin_term("localhost")
    assert parts(reader)["Ledger"][0] == "up"
    assert sequencer_leads()
    Leader.objects.update(beat_at=timezone.now() - timedelta(minutes=1))
    assert parts(reader)["Ledger"][0] == "not leading"
    assert not sequencer_leads()


def test_a_log_that_grows_is_up(reader: Client, opened: None) -> None:
    claim(1).append()
    sequence()
    state, text = parts(reader)["Ledger"]
    assert (state, "newest checkpoint 0 s old" in text) == ("up", True)


def test_a_held_log_says_why(reader: Client, opened: None) -> None:
    tell("localhost", begin_term("localhost"), LeaderState.HELD, "The log's disk is nearly full.")
    assert parts(reader)["Ledger"] == ("held", "The log's disk is nearly full.")
    assert "nearly full" in reader.get("/status/").content.decode()
    assert not sequencer_leads()


def test_a_log_that_stopped_says_why_for_as_long_as_it_takes(reader: Client, opened: None) -> None:
    tell("localhost", begin_term("localhost"), LeaderState.STOPPED, "Two roots of size 3.")
    Leader.objects.update(beat_at=timezone.now() - timedelta(days=3))
    state, text = parts(reader)["Ledger"]
    assert (state, "Two roots of size 3." in text) == ("stopped", True)
    assert not sequencer_leads()
