"""Step 9: domains and opsets of the pinned runtimes; and what is published with words."""

from __future__ import annotations

import re
from collections.abc import Iterator

from inference.executor.inspect import constants as c
from inference.executor.inspect.counts import descend
from inference.executor.inspect.findings import Finding, Level, RejectedError, quoted
from inference.executor.inspect.functions import (
    Key,
    call_key,
    domain,
    function_key,
    nodes_of,
    subgraphs,
)
from inference.executor.inspect.wire import Message

NATIVE_DOMAINS = {"com.microsoft"}
_RANDOM = {
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
}
# The inputs that say how large an output becomes.
_SIZED = {
    "BlackmanWindow": (0,),
    "CenterCropPad": (1,),
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "HammingWindow": (0,),
    "HannWindow": (0,),
    "OneHot": (1,),
    "Pad": (1,),
    "Range": (0, 1, 2),
    "Resize": (2, 3),
    "Tile": (1,),
    "Upsample": (1,),
}
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{200,}={0,2}")


def check_operators(model: Message, functions: set[Key]) -> bool:
    """Check IR version, opsets and domains; return whether only a native runtime can run it.

    Raises:
        RejectedError: opset, domain.
    """
    version = model.number("ir_version")
    if not c.MIN_IR_VERSION <= version <= c.MAX_IR_VERSION:
        raise RejectedError(
            "opset",
            "ir_version",
            f"IR version {version}; {c.MIN_IR_VERSION} to {c.MAX_IR_VERSION} can be run: "
            "export it anew",
        )
    own = {key[0] for key in functions}
    for body in (model, *model.list("functions")):
        _check_imports(body, own)
    native = False
    for node in _all_nodes(model):
        key = call_key(node)
        if key in functions or key[0] in c.OPSETS:
            continue
        if key[0] not in NATIVE_DOMAINS:
            raise RejectedError(
                "domain", node.place, f"no runtime has {quoted(key[0])}.{quoted(key[1])}"
            )
        native = True
    return native


def notes_of(model: Message, *, native: bool) -> Iterator[Finding]:
    """Yield what readers should know of a model that is published."""
    if native:
        yield _flag("domain", "operators", "needs the native executor: not replayable elsewhere")
    kinds = {call_key(node)[1] for node in _all_nodes(model) if not call_key(node)[0]}
    for kind in sorted(kinds & {"Loop", "Scan"}):
        yield _flag("control_flow", kind, "how long it runs may depend on the input")
    if "If" in kinds:
        yield _flag("control_flow", "If", "which branch runs may depend on the input", "note")
    for node in _all_nodes(model):
        if call_key(node)[1] in _RANDOM and not any(
            item.text("name") == "seed" for item in node.list("attribute")
        ):
            yield _flag("random", node.place, "unseeded random numbers: not replayable")
            break
    sized = _sized_by_data(model)
    if sized is not None:
        yield _flag("data_dependent", sized.place, "sizes depend on the values of an input")
    if any(item.text("dim_param") for item in _input_dimensions(model)):
        yield _flag("free_dimensions", "graph.input", "the caller chooses some sizes", "note")
    yield from _texts(model)


def _check_imports(body: Message, own: set[str]) -> None:
    seen: set[str] = set()
    for entry in body.list("opset_import"):
        name, version = domain(entry.text("domain")), entry.number("version")
        if name in seen:
            raise RejectedError("malformed", body.place, "an opset is imported twice")
        seen.add(name)
        low, high = c.OPSETS.get(name, (1, 2**31))
        if not low <= version <= high:
            raise RejectedError(
                "opset",
                body.place,
                f"opset {version} of {name or 'ai.onnx'}; {low} to {high} can be run",
            )
        if name not in c.OPSETS and name not in own and name not in NATIVE_DOMAINS:
            raise RejectedError("domain", body.place, f"no runtime has the domain {quoted(name)}")


def _all_nodes(model: Message) -> Iterator[Message]:
    graph = model.message("graph")
    for body in (*([graph] if graph else []), *model.list("functions")):
        yield from nodes_of(body)


def _input_dimensions(model: Message) -> Iterator[Message]:
    graph = model.message("graph")
    for value in graph.list("input") if graph else []:
        yield from (item for item in descend(value) if item.kind == "Dimension")


def _sized_by_data(model: Message) -> Message | None:
    """Return a node whose output's size follows from input values, not from their shapes.

    One pass in the order of the file, in which a graph's nodes are sorted; an approximation that
    only flags.
    """
    graph = model.message("graph")
    if graph is None:
        return None
    constants = {item.text("name") for item in graph.list("initializer")}
    tainted = {item.text("name") for item in graph.list("input")} - constants
    for node in nodes_of(graph):
        for attribute in node.list("attribute"):
            for inner in subgraphs(attribute):
                tainted.update(item.text("name") for item in inner.list("input"))
        inputs, kind = node.list("input"), node.text("op_type")
        if any(inputs[i] in tainted for i in _SIZED.get(kind, ()) if i < len(inputs)):
            return node
        if kind not in {"Shape", "Size"} and any(name in tainted for name in inputs):
            tainted.update(node.list("output"))
    return None


def _texts(model: Message) -> Iterator[Finding]:
    texts = [model.text("doc_string")]
    texts += [item.text("value") for item in model.list("metadata_props")]
    if any(_ADDRESS.search(text) for text in texts):
        yield _flag("metadata", "metadata", "holds addresses of other sites")
    if any(_BASE64.search(text) for text in texts):
        yield _flag("metadata", "metadata", "holds encoded data")


def _flag(code: str, place: str, remedy: str, level: Level = "flag") -> Finding:
    return Finding(code=code, place=quoted(place), remedy=remedy, level=level)


def operator_counts(model: Message) -> dict[str, int]:
    """Count the operators by name, subgraphs and function bodies included."""
    counts: dict[str, int] = {}
    functions = {function_key(item) for item in model.list("functions")}
    for node in _all_nodes(model):
        key = call_key(node)
        prefix = f"{key[0]}." if key[0] else ""
        name = prefix + key[1] + (" (function)" if key in functions else "")
        counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items()))
