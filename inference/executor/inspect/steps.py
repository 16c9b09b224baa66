"""Steps 4 to 9 in their order: the first failure ends the inspection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inference.executor.inspect.counts import check_counts
from inference.executor.inspect.external import check_external
from inference.executor.inspect.facts import facts_of
from inference.executor.inspect.findings import RejectedError
from inference.executor.inspect.functions import check_functions
from inference.executor.inspect.operators import check_operators, notes_of
from inference.executor.inspect.payload import check_tensors
from inference.executor.inspect.wire import Walker


def walk(data: bytes, graph: str, files: Mapping[str, int]) -> dict[str, Any]:
    """Return `{"findings": […], "facts": {…} or null, "native": bool}` for the ONNX file `data`.

    `graph` is its path in the revision, `files` the sizes in bytes of the revision's files.
    """
    walker = Walker(data)
    try:
        model = walker.walk()  # 4, and the counts of 5
        check_counts(model)  # 5
        functions = check_functions(model)  # 6
        check_tensors(walker.tensors, walker.sparse)  # 7
        external = check_external(walker.tensors, graph, files)  # 8
        native = check_operators(model, functions)  # 9
    except RejectedError as rejected:
        return {"findings": [rejected.finding.to_dict()], "facts": None, "native": False}
    return {
        "findings": [finding.to_dict() for finding in notes_of(model, native=native)],
        "facts": facts_of(model, external),
        "native": native,
    }
