"""From a run of one node, and what traces say about it, to a capsule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assay.capsule.archive import Capsule, Claim, Subject
from assay.closeness import Bound
from assay.errors import VerificationError
from assay.tensors import Tensor
from assay.trace import Step, Trace, value_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """One node by itself: its model, and what it read and gave in a run under `runtime`."""

    model: bytes
    bound: Bound
    runtime: dict[str, Any]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def make_capsule(alone: Alone, traces: Sequence[tuple[str, Trace]], index: int) -> Capsule:
    """Return the capsule of node `index`; `traces` come with a label each, one or two of them.

    Where the run of `alone` gave what a trace claims, the capsule holds those bytes; of another
    claim only the digests are known.

    Raises:
        VerificationError: the run read other values at this node than the traces say, so that it
            cannot speak for them.
    """
    first = traces[0][1]
    step = first.step(index)
    for _, trace in traces:
        _check_inputs(trace, step, alone)
    return Capsule(
        subject=Subject(
            graph=first.graph,
            input=first.input,
            index=index,
            name=step.name,
            op_type=step.op_type,
            domain=step.domain,
        ),
        runtime=alone.runtime,
        bound=alone.bound,
        model=alone.model,
        inputs=alone.inputs,
        claims=tuple(_claim(label, trace, index, alone) for label, trace in traces),
    )


def _claim(label: str, trace: Trace, index: int, alone: Alone) -> Claim:
    outputs = trace.step(index).outputs
    same = tuple(value_of(tensor) for tensor in alone.outputs) == outputs
    return Claim(
        label=label,
        trace=trace.digest,
        outputs=outputs,
        tensors=alone.outputs if same else (),
    )


def _check_inputs(trace: Trace, step: Step, alone: Alone) -> None:
    known = {value.name: value for item in trace.nodes for value in item.outputs}
    known |= {value.name: value for value in trace.inputs}
    for tensor in alone.inputs:
        claimed = known.get(tensor.name)
        if claimed is not None and claimed != value_of(tensor):
            raise VerificationError(
                f"{step.place} reads {tensor.name[:64]!r}, which is another value in this run than "
                "in the trace: an earlier node has to be looked at first"
            )
