"""The Evidence tab of a model: what its answers reach, and who ran them again."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from assay.note import VKey
from inference import views_evidence
from inference.models import Execution, Replay
from inference.services import plan as plans
from inference.services.auditor_key import ensure_auditor_key
from inference.services.replays import asked, turns
from inference.services.replays.said import say
from ledger import services as ledger
from ledger.models import Entry
from registry.choices import Visibility
from tests.inference.auditing import execute, floats
from tests.inference.builders import fp32, plan, publish
from tests.inference.executor.models import add
from tests.ledger.builders import sequence
from tests.ledger.witness import trust, witness
from tests.pages.html import faults, parse
from tests.people import Person

PAGE = "/models/alice/add/evidence/"
ROW = re.compile(r'/docs/evidence/#(\w+)">.*?data-label="Answers">(.*?)</td>', re.DOTALL)
TAGS = re.compile(r"<[^>]*>")


@pytest.fixture
def model(db: None, opened: None, alice: Person) -> str:
    """Alice's public model, which has answered nothing."""
    plans._signature.cache_clear()
    publish(alice, "add", add())
    return "alice/add"


def answered(model: str, value: float) -> Execution:
    return execute(plan(model, [fp32("x", value)]), [floats("y", 2 * value)])


def audited(row: Execution, verdict: str, **fields: Any) -> Replay:
    """Write what the registry's own auditor found."""
    asked.request_replay(row.pk, None)
    turn = turns.claim()
    assert turn is not None
    turns.finish(turn, say(row, ensure_auditor_key(), verdict=verdict, **fields))
    return Replay.objects.get(pk=turn.replay.pk)


def shown(path: str = PAGE, client: Client | None = None) -> tuple[str, dict[str, str]]:
    """Return the page, and what it says of each level."""
    text = (client or Client()).get(path).content.decode()
    assert faults(parse(text)) == []
    return text, {anchor: TAGS.sub("", words).strip() for anchor, words in ROW.findall(text)}


def test_a_model_without_answers_says_so_and_shows_its_release(model: str) -> None:
    text, levels = shown()
    assert "It has given no answer yet" in text
    assert levels == {}
    assert 'data-type="urn:assay:release:v1"' in text


def test_each_level_counts_the_answers_that_reach_it(model: str) -> None:
    first, _, third = (answered(model, one) for one in (1.0, 2.0, 3.0))
    sequence()
    audited(first, "exact", output=first.output_id)
    audited(third, "close", output="cd" * 32)
    fourth = answered(model, 4.0)
    text, levels = shown()
    assert levels == {
        "signed": "4",
        "logged": "3 (1 waiting)",
        "replayed": "1 (1 only close)",
        "traced": "0",
    }
    assert "Of its 4 answers" in text
    assert f"/executions/{first.pk}/" in text
    assert f"/executions/{fourth.pk}/" not in text, "nobody ran it again"
    assert "does not hold" not in text
    assert "Not every answer holds" not in text


def test_an_answer_that_no_checkpoint_covers_is_not_logged_yet(model: str) -> None:
    answered(model, 1.0)
    sequence()
    early = answered(model, 2.0)
    size = ledger.newest_checkpoint().size
    assert early.entry_id is not None
    Entry.objects.filter(pk=early.entry_id).update(index=size)
    assert shown()[1]["logged"] == "1 (1 waiting)"


def test_nobody_is_said_to_have_seen_a_tree_that_no_witness_saw(
    model: str, settings: Settings
) -> None:
    answered(model, 1.0)
    sequence()
    assert "under a tree that the log published; no witness is asked here." in shown()[0]
    with witness("wanda", VKey.parse(ledger.log_vkey())) as wanda:
        trust(settings.WITNESS_POLICY, wanda)
        assert "too few witnesses have seen the newest one" in shown()[0]
        answered(model, 2.0)
        sequence()
        assert "under a tree that witnesses have seen." in shown()[0]


def test_an_answer_that_does_not_hold_is_red_on_the_models_page_too(model: str) -> None:
    row = answered(model, 1.0)
    audited(row, "diverged", output="ab" * 32)
    text, levels = shown()
    assert levels["replayed"] == "0 (1 diverged)"
    assert "Not every answer holds" in text
    assert f'<a class="mono" href="/executions/{row.pk}/">' in text


def test_mallory_cannot_push_what_does_not_hold_off_the_page(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views_evidence, "LISTED", 2)
    bad = answered(model, 1.0)
    audited(bad, "diverged", output="ab" * 32)
    for value in (2.0, 3.0, 4.0):
        row = answered(model, value)
        audited(row, "exact", output=row.output_id)
    text, levels = shown()
    assert levels["replayed"] == "3 (1 diverged)"
    assert text.count(f"/executions/{bad.pk}/") == 1, "in the warning, and not in the list"
    assert "Older ones stand on the pages of the answers." in text


def test_mallory_learns_nothing_of_a_private_models_answers(
    db: None, opened: None, alice: Person, mallory: Person
) -> None:
    plans._signature.cache_clear()
    publish(alice, "add", add(), visibility=Visibility.PRIVATE)
    execute(plan("alice/add", [fp32("x", 1.0)], alice.user), [floats("y", 2.0)])
    for person, status in ((mallory, 404), (alice, 200)):
        client = Client()
        client.force_login(person.user)
        assert client.get(PAGE).status_code == status
    assert Client().get(PAGE).status_code == 404


def test_the_page_costs_the_same_with_more_answers(
    model: str, django_assert_max_num_queries: Any
) -> None:
    for value in range(6):
        audited(answered(model, float(value)), "unrunnable")
    sequence()
    with django_assert_max_num_queries(12):
        _, levels = shown()
    assert levels["signed"] == "6"
