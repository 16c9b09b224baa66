"""Each release is tried: the same input several times, in fresh processes, and the page says so."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings

from assay.tensors import DATATYPES, encode_tensors
from inference import tasks
from inference.choices import ExecutorKind, InputSource
from inference.client import ExecutorError, ExecutorUnavailableError
from inference.errors import BadTensorError
from inference.models import DeterminismCheck, Execution
from inference.services import determinism
from inference.services.determinism import check_some, kinds
from inference.services.examples import MAX_ELEMENTS, example_of, generated
from inference.services.request import Declared
from ledger.models import Entry
from registry.models import Release, Revision
from tests.flush import triggers_off
from tests.inference.builders import draft, identities, pairs, publish
from tests.inference.conftest import Site
from tests.inference.executor.models import add, network
from tests.inference.executor.test_probe import noisy
from tests.pages.html import faults, parse
from tests.people import Person

GRAPH = "ab" * 32
ROW = Declared(name="row", datatype="FP32", shape=(-1, 3))


def page(release: Release) -> str:
    address = f"/models/{release.model.full_name}/releases/{release.version}/"
    text = Client().get(address).content.decode()
    assert faults(parse(text)) == []
    return text


def test_a_release_is_tried_in_both_kinds_and_the_page_says_what_was_found(
    site: Site, alice: Person, settings: Settings
) -> None:
    settings.EXECUTOR_NATIVE_SLOTS = 1
    release = publish(alice, "net", network())
    assert "It has not been tried yet" in page(release)
    entries = Entry.objects.count()
    assert check_some() == 2
    for row in DeterminismCheck.objects.all():
        assert (row.equal, row.runs, row.input_source) == (True, 6, InputSource.GENERATED)
        assert (row.runtime or {})["kind"] == row.kind
        assert len({digest for one in row.digests for digest in one}) == 1
    assert {row.kind for row in DeterminismCheck.objects.all()} == set(ExecutorKind.values)
    assert check_some() == 0
    assert (Entry.objects.count(), Execution.objects.count()) == (entries, 0)
    text = page(release)
    assert "run 6 times, in 2 fresh processes, on an input generated from the schema" in text
    assert "the same bits each time" in text
    assert "not reproducible" not in text
    model = Client().get("/models/alice/net/").content.decode()
    assert "the same bits each time" in model


def test_unseeded_noise_is_labelled_and_the_node_is_named(site: Site, alice: Person) -> None:
    release = publish(alice, "noisy", noisy())
    check_some()
    row = DeterminismCheck.objects.get()
    assert row.equal is False
    text = page(release)
    assert '<span class="status warn">not reproducible</span>' in text
    (finding,) = (item for item in release.revision.report["findings"] if item["code"] == "random")
    assert finding["place"].replace('"', "&quot;") in text
    assert "different outputs" in text


def test_what_differs_without_a_random_node_is_labelled_too(alice: Person, site: Site) -> None:
    release = publish(alice, "add", add())
    DeterminismCheck.objects.create(
        revision=release.revision,
        kind=ExecutorKind.NATIVE,
        input_source=InputSource.DECLARED,
        runs=2,
        equal=False,
        digests=[["00" * 32], ["11" * 32]],
    )
    text = page(release)
    assert "It gave different outputs for one input." in text
    assert "2 different outputs" in text


def test_what_cannot_be_run_says_why(site: Site, alice: Person) -> None:
    release = publish(alice, "pairs", pairs())  # fails for one element: free dimensions are 1
    check_some()
    row = DeterminismCheck.objects.get()
    assert (row.equal, row.runs) == (None, 0)
    assert row.reason
    assert "it could not be tried" in page(release)


def test_the_example_in_the_card_is_the_input(site: Site, alice: Person) -> None:
    release = publish(alice, "add", add())
    card = {"assay": {"input": {"name": "x", "example": [2.5]}}}
    with triggers_off():
        Revision.objects.filter(pk=release.revision_id).update(card_metadata=card)
    check_some()
    row = DeterminismCheck.objects.get()
    assert row.input_source == InputSource.DECLARED
    assert "the example in the card" in page(release)


def test_an_executor_that_is_away_is_asked_again(site: Site, alice: Person) -> None:
    publish(alice, "add", add())

    class Away:
        def trace(self, *_: Any) -> Any:
            raise ExecutorUnavailableError("nobody")

    class Busy:
        def trace(self, *_: Any) -> Any:
            raise ExecutorError("busy", "later", retry=True)

    for executor in (Away(), Busy()):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(determinism, "executor", lambda executor=executor: executor)
            assert check_some() == 0
    assert not DeterminismCheck.objects.exists()
    assert tasks.check_determinism() == 1


def test_who_tries_a_release_is_left_alone(site: Site, alice: Person) -> None:
    publish(alice, "add", add())
    release = Release.objects.get()
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            key = determinism.lock_key(release.revision_id, "portable")
            cursor.execute("SELECT pg_advisory_lock(%s)", [key])
        assert check_some() == 0
        with other.cursor() as cursor:  # closing alone lets it go a moment later
            cursor.execute("SELECT pg_advisory_unlock(%s)", [key])
    finally:
        other.close()
    assert check_some() == 1


def test_portable_alone_where_no_native_executor_runs(settings: Settings) -> None:
    settings.EXECUTOR_NATIVE_SLOTS = 0
    assert kinds() == ["portable"]


def test_draft_pages_say_nothing(site: Site, alice: Person) -> None:
    draft(alice, "draft", identities(a="FP32"))
    text = Client().get("/models/alice/draft/").content.decode()
    assert "Same bits each time" not in text


# ------------------------------------------------------------------ the input


@pytest.mark.parametrize("datatype", sorted(DATATYPES))
def test_an_input_of_every_datatype_can_be_made_and_is_always_the_same(datatype: str) -> None:
    wanted = [Declared(name="x", datatype=datatype, shape=(-1, 5))]
    (made,) = generated(wanted, GRAPH)
    assert (made.name, made.datatype, made.shape) == ("x", datatype, (1, 5))
    assert encode_tensors(generated(wanted, GRAPH)) == encode_tensors([made])
    assert generated(wanted, "cd" * 32) != (made,)


def test_numbers_lie_between_minus_one_and_one() -> None:
    (made,) = generated([Declared(name="x", datatype="FP32", shape=(1_000,))], GRAPH)
    values = struct.unpack("<1000f", made.data)
    assert -1 <= min(values) < -0.9
    assert 0.9 < max(values) < 1


@pytest.mark.parametrize(
    "wanted",
    [
        Declared(name="x", datatype="seq(FP32)", shape=(1,)),
        Declared(name="x", datatype="FP32", shape=(MAX_ELEMENTS + 1,)),
    ],
)
def test_what_cannot_be_made_up_is_said(wanted: Declared) -> None:
    with pytest.raises(BadTensorError, match="made up"):
        generated([wanted], GRAPH)


def test_a_row_in_the_card_becomes_a_tensor_of_one_row() -> None:
    card = {"assay": {"input": {"name": "row", "example": [1, 2.5, -3]}}}
    made = example_of(card, [ROW], "portable")
    assert made is not None
    assert (made[0].shape, made[0].data) == ((1, 3), struct.pack("<3f", 1, 2.5, -3))


@pytest.mark.parametrize(
    "card",
    [
        {"assay": {"examples": [{"values": [[1, 2.5], [-3]]}, {"values": [0, 0, 0]}]}},
        {"assay": {"examples": [{"inputs": {"row": [1, 2.5, -3]}}], "input": {"name": "row"}}},
        {"assay": {"examples": [{"values": [0, 0, 0]}], "input": {"example": [[1, 2.5, -3]]}}},
    ],
)
def test_the_first_of_the_list_stands_for_an_example(card: dict[str, Any]) -> None:
    made = example_of(card, [ROW], "portable")
    assert made is not None
    assert (made[0].shape, made[0].data) == ((1, 3), struct.pack("<3f", 1, 2.5, -3))


@pytest.mark.parametrize(
    "card",
    [
        {},
        {"assay": 7},
        {"assay": {"examples": 7}},
        {"assay": {"examples": []}},
        {"assay": {"examples": [7]}},
        {"assay": {"examples": [{"inputs": {"other": [1, 2, 3]}}]}},
        {"assay": {"examples": [{"values": [1, 2, 3]}], "input": {"name": "other"}}},
        {"assay": {"input": []}},
        {"assay": {"input": {"name": "row"}}},
        {"assay": {"input": {"name": "other", "example": [1, 2, 3]}}},
        {"assay": {"input": {"example": [1, 2]}}},
        {"assay": {"input": {"example": ["a", "b", "c"]}}},
    ],
)
def test_a_card_without_a_fitting_example_has_none(card: dict[str, Any]) -> None:
    assert example_of(card, [ROW], "portable") is None


def test_an_example_is_for_graphs_with_one_input() -> None:
    card = {"assay": {"input": {"example": [1, 2, 3]}}}
    assert example_of(card, [ROW, ROW], "portable") is None
