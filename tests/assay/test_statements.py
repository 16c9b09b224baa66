"""Statements say what their kind says, and nothing else."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from assay.errors import FormatError, MisuseError
from assay.statements import (
    AliasPredicate,
    CardPredicate,
    ExecutionPredicate,
    Graph,
    KeyPredicate,
    ModerationPredicate,
    Observed,
    Predicate,
    ReleasePredicate,
    ReplayPredicate,
    Runtime,
    Statement,
    Subject,
    TensorSet,
    parse_predicate,
    parse_statement,
    render,
    timestamp,
)
from tests.assay import claims
from tests.assay.vectors import values, vector

DIGEST = "a" * 64
REVISION = "b" * 40
OBSERVED = Observed(origin="localhost", tree_size=3, root_hash=DIGEST)
NATIVE = replace(claims.runtime(), kind="native", name="onnxruntime", isa=("avx2", "fma"))

PREDICATES: list[Predicate] = [
    ReleasePredicate(
        observed=OBSERVED,
        model="alice/digits",
        revision=REVISION,
        version="1.0",
        manifest=DIGEST,
        card=DIGEST,
        license="apache-2.0",
        previous=None,
    ),
    CardPredicate(
        observed=OBSERVED,
        model="alice/digits",
        revision=REVISION,
        manifest=DIGEST,
        metadata={"tags": ["image"], "score": 0.98},
    ),
    AliasPredicate(
        observed=OBSERVED,
        model="alice/digits",
        alias="stable",
        revision=REVISION,
        previous=REVISION,
    ),
    claims.execution(),
    claims.execution(runtime=NATIVE, trace=DIGEST),
    ReplayPredicate(
        observed=OBSERVED,
        execution=claims.EXECUTION_ID,
        statement_sha256=DIGEST,
        verdict="exact",
        runtime=claims.runtime(),
        output=TensorSet(form="digest", sha256=DIGEST),
        first_divergence=None,
    ),
    KeyPredicate(
        observed=OBSERVED,
        action="register",
        owner="alice",
        role="publisher",
        public_key=claims.public_key().pem,
        previous=None,
    ),
    ModerationPredicate(
        observed=OBSERVED, action="takedown", category="copyright", reason="asked by the author"
    ),
]
IDS = [f"{type(item).__name__}-{number}" for number, item in enumerate(PREDICATES)]
SUBJECT = Subject(name="thing", sha256=DIGEST)


@pytest.mark.parametrize("predicate", PREDICATES, ids=IDS)
def test_every_kind_is_read_back(predicate: Predicate) -> None:
    payload = render(predicate.statement([SUBJECT]))
    statement = parse_statement(payload)
    assert statement.subjects == (SUBJECT,)
    assert statement.digests == (DIGEST,)
    assert parse_predicate(statement) == predicate
    assert json.loads(payload)["predicateType"].startswith("urn:assay:")


@pytest.mark.parametrize("predicate", PREDICATES, ids=IDS)
def test_mallory_may_not_add_or_drop_a_field(predicate: Predicate) -> None:
    value = predicate.to_dict()
    with pytest.raises(FormatError, match="unknown"):
        type(predicate).from_dict({**value, "note": 1}, "predicate")
    for name in value:
        with pytest.raises(FormatError, match="missing"):
            type(predicate).from_dict({k: v for k, v in value.items() if k != name})
    with pytest.raises(FormatError, match="not an object"):
        type(predicate).from_dict([])


def test_the_vectors_release_is_a_release() -> None:
    bundle = json.loads(vector("bundle.json"))
    payload = base64.b64decode(bundle["dsseEnvelope"]["payload"])
    statement = parse_statement(payload)
    predicate = parse_predicate(statement)
    assert isinstance(predicate, ReleasePredicate)
    assert predicate.observed.root_hash == values()["log"]["root_200"]
    assert render(predicate.statement(statement.subjects)) == payload


def test_the_execution_has_the_names_of_the_design() -> None:
    value = claims.execution().to_dict()
    assert list(value) == [
        *("observed", "execution", "model", "revision", "manifest", "graph", "input", "output"),
        *("runtime", "startedOn", "finishedOn", "trace"),
    ]
    assert sorted(value["observed"]) == ["origin", "rootHash", "treeSize"]
    assert sorted(value["runtime"]) == ["digest", "files", "kind", "name", "options", "version"]
    assert value["runtime"]["options"] == {"graphOptimizationLevel": "all", "threads": 1}
    replay = PREDICATES[5].to_dict()
    assert {"statement", "firstDivergence"} < set(replay)


LIES: list[tuple[str, Any, str]] = [
    ("execution", "0192f3a4-5b6c-4d8e-9f01-23456789abcd", "UUID"),
    ("model", "alice", "model id"),
    ("model", "alice/a--b", "model id"),
    ("model", "alice/x.git", "model id"),
    ("model", "-a/b", "model id"),
    ("revision", "B" * 40, "revision"),
    ("manifest", DIGEST.upper(), "lower-case"),
    ("graph", {"path": "../x", "sha256": DIGEST}, "segment"),
    ("graph", {"path": 1, "sha256": DIGEST}, "string"),
    ("input", {}, "neither"),
    ("input", {"digest": {"sha256": DIGEST}, "commitment": {"sha256": DIGEST}}, "neither"),
    ("output", {"digest": {"sha512": DIGEST}}, "missing"),
    ("output", {"name": {"sha256": DIGEST}}, "unknown"),
    ("startedOn", "2026-01-01T00:00:00Z", "time"),
    ("startedOn", "2026-02-30T00:00:00.000Z", "calendar"),
    ("startedOn", 0, "string"),
    ("trace", "", "lower-case"),
    ("observed", {"origin": "", "treeSize": 1, "rootHash": DIGEST}, "text"),
    ("observed", {"origin": "a", "treeSize": -1, "rootHash": DIGEST}, "2\\^53"),
    ("observed", {"origin": "a", "treeSize": True, "rootHash": DIGEST}, "integer"),
    ("observed", {"origin": "a", "treeSize": "1", "rootHash": DIGEST}, "integer"),
]


@pytest.mark.parametrize(("name", "value", "message"), LIES)
def test_a_wrong_field_is_named(name: str, value: object, message: str) -> None:
    whole = {**claims.execution().to_dict(), name: value}
    with pytest.raises(FormatError, match=message) as caught:
        ExecutionPredicate.from_dict(whole, "predicate")
    assert caught.value.path.startswith(f"predicate.{name}")


RUNTIME_LIES: list[tuple[str, Any, str]] = [
    ("kind", "gpu", "none of"),
    ("files", [], "has a file"),
    ("files", [{"name": "b", "sha256": DIGEST}, {"name": "a", "sha256": DIGEST}], "sorted"),
    ("files", [{"name": "/b", "sha256": DIGEST}], "segment"),
    ("digest", {"sha256": DIGEST}, "over the files"),
    ("options", {"graphOptimizationLevel": "all", "threads": 0}, "from 1"),
    ("options", {"graphOptimizationLevel": "most", "threads": 1}, "none of"),
    ("options", {"graphOptimizationLevel": "all"}, "missing"),
    ("isa", ["avx2"], "unknown"),
]


@pytest.mark.parametrize(("name", "value", "message"), RUNTIME_LIES)
def test_a_wrong_runtime_is_refused(name: str, value: object, message: str) -> None:
    whole = {**claims.runtime().to_dict(), name: value}
    with pytest.raises(FormatError, match=message):
        Runtime.from_dict(whole, "runtime")


def test_native_runs_are_comparable_on_one_isa_only() -> None:
    assert Runtime.from_dict(NATIVE.to_dict()) == NATIVE
    assert NATIVE.comparable(NATIVE)
    assert not NATIVE.comparable(replace(NATIVE, isa=("avx512f",)))
    assert claims.runtime().comparable(replace(claims.runtime(), version="other words"))
    assert not claims.runtime().comparable(replace(claims.runtime(), level="basic"))


def test_a_predicate_that_cannot_be_read_is_not_written() -> None:
    with pytest.raises(FormatError, match=r"predicate\.graph\.path"):
        claims.execution(graph=Graph(path="/", sha256=DIGEST)).statement([SUBJECT])
    with pytest.raises(FormatError, match=r"predicate\.metadata"):
        replace(PREDICATES[1], metadata=[]).statement([SUBJECT])  # type: ignore[call-arg]  # a card


def test_a_foreign_kind_is_not_ours() -> None:
    statement = Statement(subjects=(SUBJECT,), predicate_type="https://x", predicate={})
    with pytest.raises(FormatError, match="not a kind of Assay"):
        parse_predicate(statement)


def test_a_statement_is_about_something() -> None:
    with pytest.raises(FormatError, match="has a subject"):
        render(Statement(subjects=(), predicate_type="https://x", predicate={}))
    with pytest.raises(FormatError, match="sha256"):
        render(PREDICATES[0].statement([Subject(name="x", sha256="")]))
    named = render(PREDICATES[0].statement([Subject(name="", sha256=DIGEST)]))
    assert json.loads(named)["subject"] == [{"digest": {"sha256": DIGEST}}]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"predicateType": ""}, "predicateType"),
        ({"predicateType": 1}, "predicateType"),
        ({"subject": {}}, "subject"),
        ({"subject": [{"digest": {"sha512": ""}}]}, "subject[0].digest.sha512"),
        ({"subject": [{"digest": []}]}, "subject[0].digest"),
        ({"subject": [{"digest": {}}]}, "subject[0].digest"),
        ({"subject": [{"digest": {"sha512": "a"}, "name": 1}]}, "subject[0].name"),
        ({"subject": [{"digest": {"sha512": "a"}, "content": "-"}]}, "subject[0].content"),
        ({"subject": [{"digest": {"sha512": "a"}, "annotations": 1}]}, "subject[0].annotations"),
    ],
)
def test_a_bent_statement_is_malformed(change: dict[str, Any], path: str) -> None:
    value = json.loads(render(PREDICATES[0].statement([SUBJECT]))) | change
    with pytest.raises(FormatError) as caught:
        parse_statement(json.dumps(value).encode())
    assert caught.value.path == path


def test_times_are_utc_with_milliseconds() -> None:
    instant = datetime(2026, 1, 1, 1, 0, 0, 123456, tzinfo=timezone(timedelta(hours=1)))
    assert timestamp(instant) == "2026-01-01T00:00:00.123Z"
    assert timestamp(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000Z"
    with pytest.raises(MisuseError):
        timestamp(datetime(2026, 1, 1))  # noqa: DTZ001 (the mistake under test)
