"""Two traces of one graph on one input: which step went wrong first."""

from __future__ import annotations

from dataclasses import dataclass

from assay.errors import VerificationError
from assay.trace.record import Step, Trace, Value

SAME, DIVERGED = "same", "diverged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What two traces say of each other.

    `first` is the earliest node whose inputs agree and whose outputs, named in `values`, do not:
    there, and nowhere before, somebody computed something else. `origins` counts all such nodes: a
    node whose inputs differ already is only counted in `differing`. `blind` when `first` read a
    value that is no tensor, which a trace does not show.
    """

    verdict: str
    same_runtime: bool
    nodes: int
    first: Step | None = None
    values: tuple[str, ...] = ()
    origins: int = 0
    differing: int = 0
    blind: bool = False


def compare(a: Trace, b: Trace) -> Comparison:
    """Compare two traces of one graph on one input, under any two runtimes.

    Raises:
        VerificationError: another graph, another input, or nodes that cannot be those of one graph.
    """
    for what, left, right in (("graph", a.graph, b.graph), ("input", a.input, b.input)):
        if left != right:
            raise VerificationError(f"these are traces of two {what}s", expected=left, found=right)
    if a.inputs != b.inputs or len(a.nodes) != len(b.nodes):
        raise VerificationError("these cannot be traces of one graph on one input")
    known: dict[str, bool | None] = {value.name: True for value in a.inputs}
    found: list[tuple[Step, tuple[str, ...], bool]] = []
    differing = 0
    for ours, theirs in zip(a.nodes, b.nodes, strict=True):
        if ours.shape != theirs.shape:
            raise VerificationError(f"{ours.place} and {theirs.place} are not one node")
        apart = tuple(x.name for x, y in zip(ours.outputs, theirs.outputs, strict=True) if x != y)
        agree = [known.get(name, True) for name in ours.inputs]  # a weight is the graph's
        if apart:
            differing += 1
            if False not in agree:
                found.append((ours, apart, None in agree))
        for value in ours.outputs:
            known[value.name] = _known(value, apart)
    first, values, blind = found[0] if found else (None, (), False)
    return Comparison(
        verdict=DIVERGED if differing else SAME,
        same_runtime=a.runtime == b.runtime,
        nodes=len(a.nodes),
        first=first,
        values=values,
        origins=len(found),
        differing=differing,
        blind=blind,
    )


def _known(value: Value, apart: tuple[str, ...]) -> bool | None:
    """Tell whether both gave this value; None where a trace cannot say."""
    if value.name in apart:
        return False
    return None if value.sha256 is None else True
