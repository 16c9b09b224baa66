"""An operator who lies once: `python manage.py shell -c "from tests.e2e.lying import lie; lie()"`.

In place of the published network the operator runs one with another layer, signs that answer with
the executor's key as the published network's, and keeps a trace of what really ran.
"""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import onnx
from django.conf import settings
from django.utils import timezone

from assay.digests import sha256_hex
from assay.dsse import public_key_of, sign
from assay.receipt import OUTPUT_NAME
from assay.replay import Job, Material, NodeRunner, files_from_folder, find_node
from assay.replay.tracing import trace_again
from assay.statements import ExecutionPredicate, Graph, Subject, TensorSet, render, timestamp
from assay.tensors import encode_tensors
from inference import runtimes
from inference.choices import TraceState, Verdict
from inference.executor.keys import load_or_create_key
from inference.models import Trace
from inference.services.asking import read_blob
from inference.services.finish import Success, insert_succeeded
from inference.services.plan import Plan, Wishes, find_target, make_plan
from inference.services.request import Given
from inference.services.statement import Signed
from inference.services.tensors import prepare
from ledger import services as ledger

MODEL, NODE = "examples/digits", 4
IMAGE = [float(number % 17) for number in range(64)]


def lie(*, traced: bool = True) -> None:
    """Log an execution that no honest run gives, and print its id."""
    plan = _plan()
    graph = read_blob(dict(plan.target.signature.ref.resources)[plan.execution.graph_path])
    found = runtimes.current()
    runtime = found.runtime
    runner = NodeRunner(node=find_node(), files=files_from_folder(runtime, found.folder))
    other = Material(graph=_altered(graph), input=encode_tensors(plan.inputs))
    true, data = (
        encode_tensors(
            runner.run(Job(runtime=runtime, graph=item, external={}, inputs=plan.inputs))
        )
        for item in (graph, other.graph)
    )
    assert data != true, "the other layer gives the same answer: this would be no lie"
    signed = _signed(plan, sha256_hex(graph), data)
    success = Success(output=prepare(data), signed=signed, run_ms=1.0)
    execution = plan.execution
    insert_succeeded(execution, prepare(plan.data, execution.input_id), success)
    if traced:
        made, _ = trace_again(other, runtime, runner)
        lied = replace(made, graph=sha256_hex(graph))
        Trace.objects.create(
            execution_id=execution.pk,
            state=TraceState.DONE,
            available_at=timezone.now(),
            finished_at=timezone.now(),
            runtime=lied.runtime,
            digest=lied.digest,
            nodes=len(lied.nodes),
            data=zlib.compress(lied.render()),
            verdict=Verdict.EXACT,
        )
    print(execution.pk)  # noqa: T201 (the answer to the test that called this)


def _plan() -> Plan:
    given = Given(name="image", datatype="FP32", shape=(1, 1, 8, 8), data=IMAGE)
    return make_plan(find_target(MODEL, None, None), [given], Wishes(), None, limit_s=60.0)


def _altered(graph: bytes) -> bytes:
    """Return the graph with other weights in one node."""
    model = onnx.load_model_from_string(graph)
    (weight,) = (w for w in model.graph.initializer if w.name == model.graph.node[NODE].input[1])
    values = np.array(onnx.numpy_helper.to_array(weight)) * np.float32(1.25)
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    whole: bytes = model.SerializeToString()
    return whole


def _signed(plan: Plan, graph: str, data: bytes) -> Signed:
    execution, now = plan.execution, timestamp(timezone.now())
    predicate = ExecutionPredicate(
        observed=ledger.observed(),
        execution=str(execution.pk),
        model=execution.model_name,
        revision=execution.revision_id,
        manifest=execution.manifest,
        graph=Graph(path=execution.graph_path, sha256=graph),
        input=TensorSet(form="digest", sha256=execution.input_id),
        output=TensorSet(form="digest", sha256=sha256_hex(data)),
        runtime=runtimes.current().runtime,
        started_on=now,
        finished_on=now,
        trace=None,
    )
    statement = predicate.statement([Subject(name=OUTPUT_NAME, sha256=predicate.output.sha256)])
    key = load_or_create_key(settings.EXECUTOR_KEY)
    return Signed(
        envelope=sign(render(statement), key),
        key=public_key_of(key.public_key()),
        statement=statement,
        predicate=predicate,
    )
