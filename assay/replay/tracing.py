"""Traces and single nodes on the reader's machine, under the reader's own Node.

The runtime is the receipt's, the graph optimisation level is a trace's own (`LEVEL`): without
fusions, values in the middle can be asked for and nothing changes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from assay.capsule import Alone, Capsule, Judgement, judge, node_bound, one_node, wanted
from assay.digests import sha256_hex
from assay.errors import UnavailableError, VerificationError
from assay.replay.job import Job, Material, Runner
from assay.statements import Runtime
from assay.tensors import Tensor, canonical_nan, decode_tensors
from assay.trace import (
    LEVEL,
    Trace,
    Value,
    expose,
    in_groups,
    parse_model,
    step_of,
    value_of,
)

_GROUP = 128  # values that are exposed at a time
_MEMORY = re.compile("bad_alloc|allocat|memory", re.IGNORECASE)


class _FullError(UnavailableError):
    """The memory did not suffice; with fewer values at a time it may."""


def trace_again(material: Material, runtime: Runtime, runner: Runner) -> tuple[Trace, list[Tensor]]:
    """Run the graph of `material` with every value exposed; return the trace and the outputs.

    Raises:
        FormatError: the graph or the input is not its format, or cannot be traced.
        UnavailableError: it cannot be run.
    """
    model = parse_model(material.graph)
    model.refuse_random()
    inputs, used = decode_tensors(material.input), replace(runtime, level=LEVEL)
    nodes = model.reaching()
    names = [name for node in nodes for name in node.outputs if name not in model.outputs]
    found = _run(material, used, runner, inputs, [*model.outputs], names)
    values = {tensor.name: value_of(tensor) for tensor in found}
    trace = Trace(
        graph=sha256_hex(material.graph),
        input=sha256_hex(material.input),
        runtime=used.to_dict(),
        inputs=tuple(map(value_of, inputs)),
        nodes=tuple(step_of(node, values) for node in nodes),
        outputs=tuple(values.get(name, Value(name=name)) for name in model.outputs),
    )
    return trace, [tensor for tensor in found if tensor.name in model.outputs]


def node_again(material: Material, runtime: Runtime, runner: Runner, index: int) -> Alone:
    """Run the graph of `material` and return node `index` alone, as it ran.

    Raises:
        FormatError, UnavailableError: as `trace_again`; or there is no such node.
    """
    model = parse_model(material.graph)
    model.refuse_random()
    inputs, used = decode_tensors(material.input), replace(runtime, level=LEVEL)
    given = {tensor.name: tensor for tensor in inputs}
    names = wanted(model, index, given)  # says when there is no such node
    node = model.nodes[index]
    names = [name for name in (*names, *node.outputs) if name not in model.outputs]
    found = {
        tensor.name: tensor
        for tensor in _run(material, used, runner, inputs, [*model.outputs], names)
    } | given
    read = [found[name] for name in node.inputs if name in found]
    gave = [found[name] for name in node.outputs if name in found]
    return Alone(
        model=one_node(model, index, read, gave, material.external),
        bound=node_bound(model, index, read, gave),
        runtime=used.to_dict(),
        inputs=tuple(read),
        outputs=tuple(gave),
    )


def check_capsule(capsule: Capsule, runner: Runner) -> list[Judgement]:
    """Run the capsule's node and say how each of its claims stands beside the answer.

    Raises:
        FormatError: its runtime object is none.
        UnavailableError: it cannot be run.
    """
    job = Job(
        runtime=Runtime.from_dict(capsule.runtime, "runtime"),
        graph=capsule.model,
        external={},
        inputs=capsule.inputs,
        tensors_only=True,
    )
    return judge(capsule, runner.run(job))


def _run(
    material: Material,
    runtime: Runtime,
    runner: Runner,
    inputs: Sequence[Tensor],
    outputs: Sequence[str],
    names: Sequence[str],
) -> list[Tensor]:
    """Return the graph's outputs and the values `names`, as far as they are tensors."""

    def run(group: Sequence[str]) -> list[Tensor]:
        job = Job(
            runtime=runtime,
            graph=expose(material.graph, group),
            external=material.external,
            inputs=inputs,
            tensors_only=True,
        )
        try:
            return [canonical_nan(tensor) for tensor in runner.run(job)]
        except UnavailableError as error:
            if _MEMORY.search(str(error)):
                raise _FullError(str(error)) from error
            raise

    found: dict[str, Tensor] = {}
    for tensor in in_groups(names, run, size=_GROUP, full=_FullError) if names else run([]):
        before = found.setdefault(tensor.name, tensor)
        if before != tensor and tensor.name in outputs:
            raise VerificationError(
                f"the output {tensor.name[:64]!r} changes from run to run: it has no trace"
            )
    return list(found.values())
