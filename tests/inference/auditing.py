"""Executions with receipts of a key of the tests: true ones, and lies that no model told."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.utils import timezone

from assay.dsse import public_key_of, sign
from assay.receipt import OUTPUT_NAME
from assay.statements import (
    ExecutionPredicate,
    Graph,
    KeyPredicate,
    ReplayPredicate,
    Runtime,
    Subject,
    TensorSet,
    render,
    timestamp,
)
from assay.tensors import Tensor, commitment, encode_tensors, tensor_digest
from inference import runtimes
from inference.models import Execution
from inference.services.finish import Success, insert_succeeded
from inference.services.plan import Plan
from inference.services.replays.said import receipt_of
from inference.services.statement import Signed
from inference.services.tensors import new_nonce, prepare
from ledger import services as ledger
from registry.choices import KeyRole
from registry.models import Key
from registry.services import keys
from tests.inference.builders import private_key
from tests.people import Person

SALTS = (b"\1" * 32, b"\2" * 32)


def floats(name: str, *values: float) -> Tensor:
    """Return an FP32 tensor [n]."""
    data = struct.pack(f"<{len(values)}f", *values)
    return Tensor(name=name, datatype="FP32", shape=(len(values),), data=data)


def registered(name: str, role: KeyRole, person: Person | None = None) -> str:
    """Return the fingerprint of the key `name`, registered for `person`, else for the site."""
    public = public_key_of(private_key(name).public_key())
    if Key.objects.filter(pk=public.fingerprint).exists():
        return public.fingerprint
    predicate = KeyPredicate(
        observed=ledger.observed(),
        action="register",
        owner="localhost" if person is None else person.name,
        role=role.value,
        public_key=public.pem,
        previous=None,
    )
    statement = predicate.statement([Subject(name="", sha256=public.fingerprint)])
    envelope = sign(render(statement), private_key(name))
    if person is None:
        keys.register_service_key(envelope, role)
    else:
        keys.register(person.user, envelope, name="laptop")
    return public.fingerprint


def execute(plan: Plan, outputs: Sequence[Tensor], **fields: Any) -> Execution:
    """Write the execution of `plan` as if an executor had signed `outputs`.

    `runtime` and `graph` (a hex digest) stand in its statement in place of the true ones.
    """
    registered("executor", KeyRole.EXECUTOR)
    execution = plan.execution
    private = execution.private
    data = encode_tensors(outputs)
    digests = (tensor_digest(plan.inputs), tensor_digest(outputs))
    sets = [
        TensorSet(form="commitment", sha256=commitment(salt, digest))
        if private
        else TensorSet(form="digest", sha256=digest)
        for salt, digest in zip(SALTS, digests, strict=True)
    ]
    files = dict(plan.target.signature.ref.resources)
    graph = fields.get("graph", files[execution.graph_path])
    now = timestamp(timezone.now())
    predicate = ExecutionPredicate(
        observed=ledger.observed(),
        execution=str(execution.pk),
        model=execution.model_name,
        revision=execution.revision_id,
        manifest=execution.manifest,
        graph=Graph(path=execution.graph_path, sha256=graph),
        input=sets[0],
        output=sets[1],
        runtime=fields.get("runtime", runtimes.current().runtime),
        started_on=now,
        finished_on=now,
        trace=None,
    )
    statement = predicate.statement([Subject(name=OUTPUT_NAME, sha256=sets[1].sha256)])
    key = private_key("executor")
    signed = Signed(
        envelope=sign(render(statement), key),
        key=public_key_of(key.public_key()),
        statement=statement,
        predicate=predicate,
    )
    output = prepare(data, nonce=new_nonce() if private else b"")
    success = Success(output=output, signed=signed, run_ms=1.0, salts=SALTS if private else None)
    stored = prepare(plan.data, execution.input_id, nonce=plan.nonce)
    insert_succeeded(execution, stored, success)
    return Execution.objects.get(pk=execution.pk)


def replay_of(execution: Execution, /, **changed: Any) -> ReplayPredicate:
    """Return what an honest auditor who found the same bits would say, with some of it changed."""
    claimed, digest = receipt_of(execution)
    said: dict[str, Any] = {
        "observed": ledger.observed(),
        "execution": str(execution.pk),
        "statement_sha256": digest,
        "verdict": "exact",
        "runtime": claimed.runtime,
        "output": claimed.output,
        "first_divergence": None,
    }
    return ReplayPredicate(**said | changed)


def isa(runtime: Runtime, *names: str) -> Runtime:
    """Return `runtime` on a processor with these instruction sets."""
    return replace(runtime, isa=names)
