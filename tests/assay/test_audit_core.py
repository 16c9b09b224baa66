"""Lots that nobody chooses, the step that is to blame, and what is said about both."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from assay.audit import (
    BY_OUTPUT,
    BY_TRACE,
    Audited,
    Drawn,
    Plan,
    Result,
    Sent,
    blame,
    draw,
    lot,
    replay_statement,
    report_json,
    report_text,
    seed_of,
    with_claimed,
)
from assay.audit.found import parse_record, record
from assay.canonical import canonical_json
from assay.capsule import Capsule, Claim, Subject
from assay.closeness import ulp
from assay.digests import sha256
from assay.errors import FormatError, MisuseError, VerificationError
from assay.statements import Observed, ReplayPredicate, parse_predicate, parse_statement, render
from assay.tensors import Tensor
from assay.trace import Step, Trace, Value, value_of
from tests.assay import claims
from tests.assay.claims import floats

SEED = seed_of("ledger.example.org\n5\nroot\n", bytes(32))


def test_the_seed_is_of_public_bytes() -> None:
    text = "ledger.example.org\n5\nroot\n"
    assert sha256(b"assay-sample-v1\n" + text.encode() + bytes(32)) == SEED
    assert seed_of(text, b"\1" * 32) != SEED
    with pytest.raises(MisuseError, match="32 bytes"):
        seed_of(text, b"")


def test_the_smallest_lots_are_drawn() -> None:
    everything = range(100)
    found = draw(SEED, everything, 7)
    assert len(found) == 7
    assert found == sorted(found)
    least = max(lot(SEED, index) for index in found)
    assert all(lot(SEED, index) > least for index in everything if index not in found)
    assert draw(SEED, everything, None) == list(everything)
    assert draw(SEED, [3], 7) == [3]
    assert draw(SEED, everything, 8) == sorted({*found, *draw(SEED, everything, 8)})


# ------------------------------------------------------------------ blame


A, R, Y = (floats(name, 1.0, 2.0) for name in "ary")


def step(index: int, op_type: str, inputs: str, output: Tensor) -> Step:
    return Step(
        index=index,
        name="",
        op_type=op_type,
        domain="",
        inputs=tuple(inputs),
        outputs=(value_of(output),),
    )


MINE = Trace(
    graph="ab" * 32,
    input="cd" * 32,
    runtime={},
    inputs=(value_of(floats("x", 0.0)),),
    nodes=(step(0, "Gemm", "x", A), step(1, "Relu", "a", R), step(2, "Add", "r", Y)),
    outputs=(value_of(Y),),
)


def bent(name: str, value: Value) -> Trace:
    nodes = tuple(
        replace(item, outputs=tuple(value if v.name == name else v for v in item.outputs))
        for item in MINE.nodes
    )
    return replace(MINE, nodes=nodes)


def test_the_operators_trace_names_the_first_step() -> None:
    lie = bent("a", value_of(floats("a", 9.0, 9.0)))
    found = blame(MINE, lie, traced=[Y], replayed=[Y], claimed=None)
    assert found is not None
    assert (found.basis, found.step.place, found.values) == (BY_TRACE, "node 0 (Gemm)", ("a",))
    with pytest.raises(VerificationError, match="two graphs"):
        blame(MINE, replace(lie, graph="00" * 32), traced=[Y], replayed=[Y], claimed=None)


def test_the_signed_output_names_the_step_that_gives_it() -> None:
    lie = floats("y", 1.0, 9.0)
    for theirs in (None, MINE):
        found = blame(MINE, theirs, traced=[Y], replayed=[Y], claimed=[lie])
        assert found is not None
        assert (found.basis, found.step.place) == (BY_OUTPUT, "node 2 (Add)")
        assert found.claim.outputs == (value_of(lie),)
    assert blame(MINE, MINE, traced=[Y], replayed=[Y], claimed=None) is None
    other = [floats("z", 1.0), Y]
    assert blame(MINE, None, traced=[Y], replayed=[Y], claimed=other) is None


def test_a_lie_as_small_as_rounding_names_a_step_only_where_the_bits_are_the_same() -> None:
    near = floats("y", 1.0, 2.0000002)
    found = blame(MINE, None, traced=[Y], replayed=[Y], claimed=[near])
    assert found is not None
    optimised = [floats("y", 1.0, 2.0000005)]  # the trace has other bits than the replay had
    assert blame(MINE, None, traced=[Y], replayed=optimised, claimed=[near]) is None
    far, flat = floats("y", 1.0, 9.0), replace(Y, shape=(2,))
    for lie in (far, flat):
        found = blame(MINE, None, traced=[Y], replayed=optimised, claimed=[lie])
        assert found is not None
    assert blame(MINE, None, traced=[Y], replayed=[floats("z", 0.0)], claimed=[near]) is None


def test_a_capsule_gets_the_bytes_of_the_claim_where_all_are_known() -> None:
    claim = Claim(label="claimed", trace="ab" * 32, outputs=(value_of(Y),), tensors=())
    capsule = Capsule(
        subject=Subject(
            graph="ab" * 32, input="cd" * 32, index=2, name="", op_type="Add", domain=""
        ),
        runtime={},
        bound=ulp(1),
        model=b"",
        inputs=(),
        claims=(claim, replace(claim, label="replayed")),
    )
    whole = with_claimed(capsule, "claimed", [Y, A])
    assert [item.tensors for item in whole.claims] == [(Y,), ()]
    assert with_claimed(capsule, "claimed", [A]) == capsule


# ------------------------------------------------------------------ what is said


@pytest.mark.parametrize(
    ("verdict", "output", "place"),
    [
        ("exact", "ab" * 32, None),
        ("diverged", "cd" * 32, "node 4 (Gemm)"),
        ("unrunnable", "", None),
    ],
)
def test_the_statement_is_a_strict_one(verdict: str, output: str, place: str | None) -> None:
    claimed = claims.execution()
    seen = Observed(origin="ledger.example.org", tree_size=9, root_hash="ef" * 32)
    said = replay_statement(
        claimed, "12" * 32, seen, verdict=verdict, output=output, first_divergence=place
    )
    read = parse_predicate(parse_statement(render(said)))
    assert isinstance(read, ReplayPredicate)
    assert (read.verdict, read.first_divergence, read.observed) == (verdict, place, seen)
    assert said.digests == (output or claimed.output.sha256,)
    assert (read.output is None) == (not output)


DRAWN = tuple(
    Drawn(
        index=index,
        execution=claims.EXECUTION_ID,
        model="alice/add",
        graph="ab" * 32,
        statement="cd" * 32,
        signer="ef" * 32,
    )
    for index in (3, 5, 8)
)
PLAN = Plan(
    origin="ledger.example.org",
    checkpoint="ledger.example.org\n9\n…\n",
    root="ab" * 32,
    nonce="cd" * 32,
    start=0,
    end=9,
    sample=3,
    executions=7,
    began_at="2026-01-01T00:00:00.000Z",
    drawn=DRAWN,
)


def test_what_is_kept_is_read_back() -> None:
    result = Result(index=3, outcome="exact", reason="same")
    sent = Sent(index=3, taken=False, reason="no")
    for event in (PLAN, result, sent):
        assert parse_record(json.loads(canonical_json(record(event)))) == event
    lies: list[object] = [{"plan": {}}, {"result": {}, "sent": {}}, {"other": {}}, []]
    for lie in lies:
        with pytest.raises(FormatError):
            parse_record(lie)
    with pytest.raises(FormatError, match="true or false"):
        Sent.from_dict({"index": 3, "taken": 1, "reason": ""})
    with pytest.raises(FormatError, match="is none of"):
        Result.from_dict({**result.to_dict(), "outcome": "fine"})


def test_the_report_tells_what_is_not_exact() -> None:
    one = Audited(plan=PLAN)
    one.results[3] = Result(index=3, outcome="exact", reason="same")
    one.results[5] = Result(
        index=5,
        outcome="diverged",
        reason="other bits",
        first_divergence="node 4 (Gemm)",
        basis="trace",
        evidence="evidence/5",
    )
    one.sent[5] = Sent(index=5, taken=False, reason="not today")
    told = report_json([one])
    assert told["totals"] == {
        "executions": 7,
        "drawn": 3,
        "waiting": 1,
        "exact": 1,
        "diverged": 1,
        "unrunnable": 0,
        "refused": 0,
        "unchecked": 0,
        "signed": 0,
        "taken": 0,
    }
    assert [item["outcome"] for item in told["rounds"][0]["drawn"]] == ["exact", "diverged", None]
    text = report_text([one])
    for words in (
        "7 executions, 3 drawn (3 asked for) by root abab",
        "entry 5, 0192f3a4",
        "by the operator's own trace: node 4 (Gemm)",
        "evidence: evidence/5",
        "did not take the statement: not today",
        "1  not looked at yet",
    ):
        assert words in text
    assert "entry 3" not in text
