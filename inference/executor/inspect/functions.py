"""Step 6: local functions. What they expand to is bounded before a runtime expands them.

A runtime inlines functions at load. Let E(f) be the nodes that f expands to: over its own nodes,
subgraphs included, E(g) for a call of g and 1 otherwise. Refused are rings, more than 32 levels,
and work = E x levels above 65,536. Numbers saturate, nothing is recursive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from inference.executor.inspect import constants as c
from inference.executor.inspect.findings import RejectedError
from inference.executor.inspect.wire import Message

Key = tuple[str, str, str]  # domain, name, overload
_SATURATED = 2**62


@dataclass(frozen=True, slots=True)
class Cost:
    """What a body expands to: nodes, and levels of functions below it."""

    nodes: int
    levels: int

    @property
    def work(self) -> int:
        """The product that is bounded."""
        return min(self.nodes * self.levels, _SATURATED)


def domain(name: str) -> str:
    """Return the one spelling of an operator domain: "" for ai.onnx."""
    return "" if name == "ai.onnx" else name


def nodes_of(body: Message) -> Iterator[Message]:
    """Yield the nodes of a graph or function in order, those of subgraphs after their node."""
    stack = list(reversed(body.list("node")))
    while stack:
        node = stack.pop()
        yield node
        for attribute in reversed(node.list("attribute")):
            for graph in subgraphs(attribute):
                stack.extend(reversed(graph.list("node")))


def subgraphs(attribute: Message) -> list[Message]:
    """Return the graphs of one attribute."""
    single = attribute.message("g")
    return [*([single] if single else []), *attribute.list("graphs")]


def function_key(function: Message) -> Key:
    """Return what a call names a function by."""
    return domain(function.text("domain")), function.text("name"), function.text("overload")


def call_key(node: Message) -> Key:
    """Return what a node calls."""
    return domain(node.text("domain")), node.text("op_type"), node.text("overload")


def check_functions(model: Message) -> set[Key]:
    """Check the functions of `model` and return their keys.

    Raises:
        RejectedError: malformed (one twice), function_ring, function_depth, function_work.
    """
    bodies: dict[Key, Message] = {}
    for function in model.list("functions"):
        key = function_key(function)
        if key in bodies:
            raise RejectedError("malformed", function.place, "a function stands twice")
        bodies[key] = function
    calls = {key: _calls(body, bodies) for key, body in bodies.items()}
    costs: dict[Key, Cost] = {}
    for key in _order(calls):
        costs[key] = _cost(calls[key], costs)
        _check(costs[key], bodies[key])
    graph = model.message("graph")
    if graph is not None:
        total = _cost(_calls(graph, bodies), costs)
        _check(Cost(total.nodes, total.levels - 1), graph)
    if len(bodies) > c.MAX_FUNCTIONS:
        raise RejectedError("function_work", "functions", f"at most {c.MAX_FUNCTIONS} functions")
    return set(bodies)


def _calls(body: Message, known: Iterable[Key]) -> Counter[Key | None]:
    """Count the nodes of a body: by function called, None for an operator."""
    keys = (call_key(node) for node in nodes_of(body))
    return Counter(key if key in known else None for key in keys)


def _cost(calls: Counter[Key | None], costs: dict[Key, Cost]) -> Cost:
    nodes, levels = calls[None], 0
    for key, times in calls.items():
        if key is not None:
            nodes = min(nodes + times * costs[key].nodes, _SATURATED)
            levels = max(levels, costs[key].levels)
    return Cost(nodes, levels + 1)


def _check(cost: Cost, body: Message) -> None:
    if cost.levels > c.MAX_FUNCTION_DEPTH:
        limit = c.MAX_FUNCTION_DEPTH
        raise RejectedError("function_depth", body.place, f"functions nest at most {limit} deep")
    if cost.work > c.MAX_FUNCTION_WORK:
        remedy = f"expanded nodes x depth is at most {c.MAX_FUNCTION_WORK}: inline and simplify"
        raise RejectedError("function_work", body.place, remedy)


def _order(calls: dict[Key, Counter[Key | None]]) -> list[Key]:
    """Return the functions, those that are called before those that call.

    Raises:
        RejectedError: function_ring.
    """
    done: dict[Key, None] = {}
    under_way: set[Key] = set()
    for first in calls:
        stack = [(first, False)]
        while stack:
            key, returning = stack.pop()
            if returning:
                under_way.discard(key)
                done[key] = None
            elif key not in done:
                if key in under_way:
                    raise RejectedError("function_ring", f"function {key[1]!r}", "it calls itself")
                under_way.add(key)
                stack.append((key, True))
                stack.extend((called, False) for called in calls[key] if called is not None)
    return list(done)
