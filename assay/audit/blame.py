"""The step at which a claimed run and the auditor's own part, from what the operator tells.

1. The operator's trace, laid beside the auditor's: the first step whose inputs agree and whose
   output does not.
2. Where there is no trace, or an honest one, the claim is the output alone, which is signed. The
   steps that give it are then the first that are known to differ; before them nobody claimed
   anything. A trace runs without graph optimisations. Where its end has other bits than the replay
   had, the claim is compared by what rounding may do, and a lie as small as that names no step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from assay.capsule import Capsule
from assay.closeness import CLOSE, EXACT, bound_for, close
from assay.tensors import Tensor, canonical_nan
from assay.trace import Step, Trace, Value, compare, value_of

BY_TRACE, BY_OUTPUT = "trace", "output"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """The first step that differs, the values that do, and the trace that claims it.

    `basis` is `trace` for one that the operator made, `output` where only the signed output
    speaks.
    """

    step: Step
    values: tuple[str, ...]
    basis: str
    claim: Trace


def blame(
    mine: Trace,
    theirs: Trace | None,
    *,
    traced: Sequence[Tensor],
    replayed: Sequence[Tensor],
    claimed: Sequence[Tensor] | None,
) -> Blame | None:
    """Return where the claim and the auditor's run part; None where nothing tells.

    `traced` are the outputs of the auditor's traced run, `replayed` those of the replay, `claimed`
    those that were signed, where they are at hand.

    Raises:
        VerificationError: `theirs` is no trace of this graph on this input.
    """
    if theirs is not None:
        found = compare(theirs, mine)
        if found.first is not None:
            return Blame(step=found.first, values=found.values, basis=BY_TRACE, claim=theirs)
    if claimed is None:
        return None
    claim = _claim(mine, traced, replayed, claimed)
    found = compare(claim, mine)
    if found.first is None:
        return None
    return Blame(step=found.first, values=found.values, basis=BY_OUTPUT, claim=claim)


def _claim(
    mine: Trace, traced: Sequence[Tensor], replayed: Sequence[Tensor], claimed: Sequence[Tensor]
) -> Trace:
    """Return the auditor's trace with those outputs in it that were claimed otherwise."""
    own = {tensor.name: tensor for tensor in traced}
    strict = all(i.name in own and value_of(own[i.name]) == value_of(i) for i in replayed)
    bound = bound_for([step.op_type for step in mine.nodes])
    others: dict[str, Value] = {}
    for item in claimed:
        tensor = own.get(item.name)
        if tensor is None or value_of(tensor) == value_of(item):
            continue
        same = (tensor.datatype, tensor.shape) == (item.datatype, item.shape)
        if same and not strict:
            apart = close(item.datatype, item.data, tensor.data, bound=bound)
            if apart.verdict in (EXACT, CLOSE):
                continue
        others[item.name] = value_of(item)
    return replace(
        mine,
        nodes=tuple(replace(step, outputs=_put(step.outputs, others)) for step in mine.nodes),
        outputs=_put(mine.outputs, others),
    )


def _put(values: Sequence[Value], others: Mapping[str, Value]) -> tuple[Value, ...]:
    return tuple(others.get(value.name, value) for value in values)


def with_claimed(capsule: Capsule, label: str, claimed: Sequence[Tensor]) -> Capsule:
    """Return `capsule` with the bytes of the claim `label`, where `claimed` has all of them."""
    known = {tensor.name: canonical_nan(tensor) for tensor in claimed}
    claims = []
    for claim in capsule.claims:
        tensors = tuple(known[v.name] for v in claim.outputs if v.name in known)
        if claim.label == label and tuple(map(value_of, tensors)) == claim.outputs:
            claims.append(replace(claim, tensors=tensors))
        else:
            claims.append(claim)
    return replace(capsule, claims=tuple(claims))
