"""The answer of a traced run beside the one that was claimed.

A trace runs without graph optimisations, the claimed run had them: on some graphs their last bits
differ, and that is no fault. What lies beyond the loosest bound of the graph's operators is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assay.closeness import CLOSE, DIVERGED, EXACT, bound_for, close
from assay.tensors import Tensor, canonical_nan
from assay.trace import Trace, value_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """`verdict` is `exact`, `close` or `diverged`; `detail` says which output and how far."""

    verdict: str
    detail: str


def compare_final(trace: Trace, outputs: Sequence[Tensor], claimed: Sequence[Tensor]) -> Final:
    """Compare the outputs of a traced run with those `claimed`, which may be fewer."""
    bound = bound_for([step.op_type for step in trace.nodes])
    found = {tensor.name: canonical_nan(tensor) for tensor in outputs}
    verdict, detail, worst = EXACT, "the traced run gave the claimed bits", -1.0
    for tensor in claimed:
        other = found.get(tensor.name)
        if other is None or (other.datatype, other.shape) != (tensor.datatype, tensor.shape):
            words = f"{tensor.name}: the traced run has no such output"
            return Final(verdict=DIVERGED, detail=words)
        if value_of(other) == value_of(tensor):
            continue
        apart = close(tensor.datatype, tensor.data, other.data, bound=bound)
        if apart.worst > worst:
            worst = apart.worst
            verdict = CLOSE if apart.verdict in (EXACT, CLOSE) else DIVERGED
            place = "" if apart.place is None else f", element {apart.place}"
            detail = f"{tensor.name}{place}: {apart.worst:.3g} times what rounding may do"
    return Final(verdict=verdict, detail=detail)
