"""Traces: one digest for every value of a run, and the first node at which two runs part.

model = parse_model(graph)
exposed = expose(graph, names)              # the graph with more outputs, to be run
trace = Trace(..., nodes=tuple(step_of(node, values) for node in model.reaching()), ...)
compare(trace, parse_trace(theirs)).first   # the step that went wrong
"""

from __future__ import annotations

from assay.trace.compare import DIVERGED, SAME, Comparison, compare
from assay.trace.graph import Model, Node, expose, in_groups, parse_model
from assay.trace.record import (
    FORMAT,
    LEVEL,
    MAX_TRACE_BYTES,
    Step,
    Trace,
    Value,
    parse_trace,
    step_of,
    value_of,
)

__all__ = [
    "DIVERGED",
    "FORMAT",
    "LEVEL",
    "MAX_TRACE_BYTES",
    "SAME",
    "Comparison",
    "Model",
    "Node",
    "Step",
    "Trace",
    "Value",
    "compare",
    "expose",
    "in_groups",
    "parse_model",
    "parse_trace",
    "step_of",
    "value_of",
]
