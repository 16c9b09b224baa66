"""A model of three steps, and traces of its runs."""

from __future__ import annotations

from typing import Any

from inference.models import Execution, Trace
from inference.services import traces
from tests.inference.builders import fp32
from tests.inference.executor.models import FLOAT, constant, model, node, value
from tests.people import Person

API = "/api/v1"
X = [fp32("x", 1.0, -2.0)]


def rectified() -> bytes:
    """y = relu(x + x) + 0.5 for two floats."""
    nodes = [
        node("Add", ["x", "x"], ["a"]),
        node("Relu", ["a"], ["r"], name="act"),
        node("Add", ["r", "b"], ["y"]),
    ]
    ends = [value("y", FLOAT, (2,))]
    built = model(nodes, [value("x", FLOAT, (2,))], ends, [constant("b", [0.5, 0.5])])
    return bytes(built.SerializeToString())


def traced(execution: Execution, person: Person | None = None) -> Trace:
    row, _ = traces.ask_for(execution.pk, person.user if person else None)
    assert traces.make_some() == 1
    return Trace.objects.get(pk=row.pk)


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]
