"""Executions as the site keeps them: signed by a registered executor, logged, with their rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from assay.digests import sha256_hex
from assay.dsse import Envelope, compact, public_key_of, sign
from assay.manifest import Resource
from assay.receipt import OUTPUT_NAME
from assay.statements import (
    ExecutionPredicate,
    Graph,
    Runtime,
    Subject,
    TensorSet,
    parse_statement,
    render,
)
from assay.tensors import Tensor, encode_tensors
from inference.choices import ExecutionState, ExecutorKind
from inference.ids import uuid7
from inference.models import Execution, Tensors
from ledger import services as ledger
from registry.choices import KeyRole
from registry.models import Key, Revision
from registry.services import keys
from tests import builders

NAME = "executor"
TIME = "2026-01-01T00:00:00.000Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """An execution: its id, and its receipt in compact form."""

    id: UUID
    receipt: str


def executor_key() -> ec.EllipticCurvePrivateKey:
    """Return the executor's key, registered."""
    private = builders.private_key(NAME)
    public = public_key_of(private.public_key())
    if not Key.objects.filter(pk=public.fingerprint).exists():
        envelope = builders.key_envelope(private, settings.LEDGER_ORIGIN, role=NAME)
        keys.register_service_key(envelope, KeyRole.EXECUTOR)
    return private


def statement(revision: Revision, execution: UUID, **changes: Any) -> bytes:
    """Return what an executor says of a run of `revision`."""
    files = (Resource(name="ort.wasm", sha256="ab" * 32),)
    graph = dict(revision.files.values_list("path", "blob_id"))[revision.graph_path]
    fields: dict[str, Any] = {
        "observed": builders.observed(),
        "execution": str(execution),
        "model": revision.model.full_name,
        "revision": revision.pk,
        "manifest": revision.manifest,
        "graph": Graph(path=revision.graph_path, sha256=graph),
        "input": TensorSet(form="digest", sha256=_tensors().sha256),
        "output": TensorSet(form="digest", sha256=_tensors().sha256),
        "runtime": Runtime(
            kind="portable",
            name="onnxruntime-web",
            version="1.30.0",
            files=files,
            level="all",
            threads=1,
        ),
        "started_on": TIME,
        "finished_on": TIME,
        "trace": None,
    }
    predicate = ExecutionPredicate(**{**fields, **changes})
    return render(predicate.statement([Subject(name=OUTPUT_NAME, sha256=_tensors().sha256)]))


def run(revision: Revision, *, batch: UUID | None = None) -> Run:
    """Let the executor run `revision`: signed, logged, stored."""
    pk = uuid7()
    private = executor_key()
    envelope = sign(statement(revision, pk), private)
    entry = _log(envelope, private)
    _row(revision, pk, batch, state=ExecutionState.SUCCEEDED, output=_tensors(), entry_id=entry)
    return Run(id=pk, receipt=compact(envelope))


def fail(revision: Revision, *, batch: UUID | None = None) -> UUID:
    """Let an execution fail: a row, and nothing in the ledger."""
    pk = uuid7()
    _row(revision, pk, batch, state=ExecutionState.FAILED, error_code="broken")
    return pk


def _log(envelope: Envelope, private: ec.EllipticCurvePrivateKey) -> int:
    public = public_key_of(private.public_key())
    with transaction.atomic():
        return ledger.append(envelope, public, parse_statement(envelope.payload))


def _row(revision: Revision, pk: UUID, batch: UUID | None, **fields: Any) -> None:
    now = timezone.now()
    Execution.objects.create(
        id=pk,
        batch=batch,
        request_digest="00" * 32,
        available_at=now,
        deadline=now + timedelta(minutes=1),
        finished_at=now,
        revision=revision,
        model_name=revision.model.full_name,
        manifest=revision.manifest,
        graph_path=revision.graph_path,
        executor_kind=ExecutorKind.PORTABLE,
        input=_tensors(),
        **fields,
    )


def _tensors() -> Tensors:
    data = encode_tensors([Tensor(name="x", datatype="FP32", shape=(1, 2), data=bytes(8))])
    row, _ = Tensors.objects.get_or_create(
        sha256=sha256_hex(data), defaults={"size": len(data), "inline": data}
    )
    return row
