"""What an auditor gathers about an execution whose bits differ: who said what, and where they part.

Nothing here can change the verdict, which is said already. What the registry does not give, or a
run of a traced graph does not, is missing from the evidence, and a note says so.

| file | what it is |
|---|---|
| `receipt.json` | what was signed, and that it is logged |
| `input.tensors`, `claimed.tensors`, `replayed.tensors` | what went in; both outputs |
| `mine.trace.json`, `theirs.trace.json` | each step, by the auditor and by the operator |
| `capsule.zip` | the first step that differs, alone: `assay capsule check` |
| `statement.json` | what the auditor signed about it |
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from assay.audit import BY_OUTPUT, BY_TRACE, Blame, blame, with_claimed
from assay.capsule import make_capsule
from assay.cli.audit_site import Site
from assay.errors import AssayError
from assay.replay import Material, Replay, Runner
from assay.replay.tracing import node_again, trace_again
from assay.statements import ExecutionPredicate
from assay.tensors import Tensor, decode_tensors
from assay.trace import Trace

_CLAIMED, _REPLAYED = "claimed", "replayed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An execution with all that it takes to run it; `claimed` is its output.tensors or None.

    `runner` makes a process for each run.
    """

    receipt: bytes
    predicate: ExecutionPredicate
    material: Material
    claimed: bytes | None
    runner: Runner

    def alone(self, result: Replay) -> bool:
        """Tell whether the graph has one output, so that no other set can have been asked for."""
        return result.output is not None and len(decode_tensors(result.output)) == 1


@dataclass(slots=True, kw_only=True)
class Blamed:
    """The files of the evidence, the first step that differs in words or "", and what to add."""

    files: dict[str, bytes] = field(default_factory=dict)
    place: str = ""
    basis: str = ""
    notes: list[str] = field(default_factory=list)


def gather(case: Case, result: Replay, site: Site, stop: threading.Event) -> Blamed:
    """Return the evidence about a replay that gave other bits."""
    told = Blamed(files={"receipt.json": case.receipt, "input.tensors": case.material.input})
    told.notes += [f"{item.name}: {item.detail}" for item in result.differences]
    for name, data in (("claimed", case.claimed), ("replayed", result.output)):
        if data is not None:
            told.files[f"{name}.tensors"] = data
    try:
        mine, traced = trace_again(case.material, case.predicate.runtime, case.runner)
        told.files["mine.trace.json"] = mine.render()
        found = _first(
            case, result, told, mine, traced, site.traces(case.predicate.execution, stop)
        )
        if found is None:
            told.notes.append("nothing tells which step differs")
        else:
            told.place, told.basis = found.step.place, found.basis
            _pack(case, told, mine, found)
    except AssayError as error:
        told.notes.append(f"the step could not be found: {error}")
    return told


def _first(
    case: Case,
    result: Replay,
    told: Blamed,
    mine: Trace,
    traced: Sequence[Tensor],
    theirs: Sequence[Trace],
) -> Blame | None:
    """Return what the first trace that differs blames, else what the signed output does."""
    claimed = None if case.claimed is None else decode_tensors(case.claimed)
    replayed = decode_tensors(result.output or b"")
    found = None
    for trace in (*theirs, None):
        try:
            found = blame(mine, trace, traced=traced, replayed=replayed, claimed=claimed)
        except AssayError as error:
            told.notes.append(f"a trace of the registry is none of this run: {error}")
            continue
        if found is not None and found.basis == BY_TRACE:
            told.files["theirs.trace.json"] = found.claim.render()
            break
    if theirs and (found is None or found.basis == BY_OUTPUT):
        told.files["theirs.trace.json"] = theirs[0].render()
        told.notes.append("the registry's own trace does not lead to the output that was signed")
    if not theirs:
        told.notes.append("the registry gave no trace")
    return found


def _pack(case: Case, told: Blamed, mine: Trace, found: Blame) -> None:
    """Put the step into a capsule; a step that cannot be packed is named all the same."""
    try:
        index = found.step.index
        alone = node_again(case.material, case.predicate.runtime, case.runner, index)
        capsule = make_capsule(alone, [(_CLAIMED, found.claim), (_REPLAYED, mine)], index)
        if case.claimed is not None:
            capsule = with_claimed(capsule, _CLAIMED, decode_tensors(case.claimed))
        told.files["capsule.zip"] = capsule.render()
    except AssayError as error:
        told.notes.append(f"no capsule of the step: {error}")
