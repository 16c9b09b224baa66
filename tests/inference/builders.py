"""A site with a log, an executor whose key it knows, and models that were published for real."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from assay.digests import sha256_hex
from assay.dsse import P256_ORDER, PublicKey, public_key_of, sign
from assay.statements import (
    CardPredicate,
    KeyPredicate,
    ReleasePredicate,
    Subject,
    render,
)
from inference.executor.inspect.steps import walk
from inference.services import queue
from inference.services.plan import Plan, Wishes, find_target, make_plan
from inference.services.request import Given
from inference.services.work import work
from ledger import services as ledger
from registry import claims
from registry.choices import ClaimKind, Visibility
from registry.models import Model, Release, Revision
from registry.services import contents, keys, models, releases, revisions
from tests.inference.executor.models import (
    FLOAT,
    ONNX_TYPES,
    constant,
    model as onnx_model,
    node,
    value,
)
from tests.people import Person

GRAPH = "model.onnx"
CARD = b"---\nlicense: apache-2.0\n---\n\n# A model\n"
LIMIT_S = 50.0


@cache
def private_key(name: str) -> ec.EllipticCurvePrivateKey:
    """Return the P-256 key of a person, always the same."""
    secret = int.from_bytes(hashlib.sha256(f"inference tests: {name}".encode()).digest(), "big")
    return ec.derive_private_key(secret % P256_ORDER, ec.SECP256R1())


def publisher_key(person: Person) -> PublicKey:
    """Return the registered key of `person`; it is registered at the first call."""
    public = public_key_of(private_key(person.name).public_key())
    if not person.owner.keys.filter(pk=public.fingerprint).exists():
        predicate = KeyPredicate(
            observed=ledger.observed(),
            action="register",
            owner=person.name,
            role="publisher",
            public_key=public.pem,
            previous=None,
        )
        statement = predicate.statement([Subject(name="", sha256=sha256_hex(public.spki))])
        envelope = sign(render(statement), private_key(person.name))
        keys.register(person.user, envelope, name="laptop")
    return public


def draft(
    person: Person,
    name: str,
    graph: bytes,
    *,
    visibility: str = Visibility.PUBLIC,
    extra: dict[str, bytes] | None = None,
) -> Revision:
    """Commit a revision and give it its inspection's facts, without the trial run."""
    model = models.create(person.user, name=name, visibility=visibility)
    return revise(person, model, graph, extra=extra)


def revise(
    person: Person, model: Model, graph: bytes, *, extra: dict[str, bytes] | None = None
) -> Revision:
    """Commit the next revision of `model`."""
    files = {"README.md": CARD, GRAPH: graph, **(extra or {})}
    blobs = {path: contents.store(person.user, data) for path, data in files.items()}
    head = Model.objects.get(pk=model.pk).head_id
    listed = [(path, blob.sha256) for path, blob in blobs.items()]
    revision = revisions.commit(person.user, model, files=listed, parent=head)
    sizes = {path: len(data) for path, data in files.items()}
    report = {"verdict": "passed", "trial": None, **walk(graph, GRAPH, sizes)}
    report.pop("native")
    return revisions.record_inspection(revision.pk, report)


def release(person: Person, revision: Revision, version: str = "1.0.0") -> Release:
    """Sign and release a revision as its publisher's machine would."""
    public = publisher_key(person)
    want = claims.expected(revision)
    seen = ledger.observed()
    card = CardPredicate(observed=seen, **want.card_predicate())
    about = ReleasePredicate(observed=seen, **want.release_predicate(version))
    files = [Subject(name=path, sha256=sha256) for path, sha256 in want.files]
    payloads = {
        ClaimKind.MODEL_SIGNATURE: want.manifest.oms_statement(revision.model.name),
        ClaimKind.CARD: render(card.statement([Subject(name="README.md", sha256=want.card)])),
        ClaimKind.RELEASE: render(about.statement(files)),
    }
    request = releases.Request(
        revision=revision.pk,
        version=version,
        notes="",
        envelopes={kind: sign(data, private_key(person.name)) for kind, data in payloads.items()},
        key=public.fingerprint,
    )
    return releases.publish(person.user, revision.model, request)


def publish(person: Person, name: str, graph: bytes, **fields: Any) -> Release:
    """Publish a model with one release, 1.0.0."""
    return release(person, draft(person, name, graph, **fields))


def two() -> bytes:
    """p = a, q = b: two inputs of any length, FP32 and INT64, and two outputs."""
    return identities(a="FP32", b="INT64")


def identities(**datatypes: str) -> bytes:
    """One output `<name>_out` for each input `<name>`, of shape [N]."""
    kinds = {name: ONNX_TYPES[datatype] for name, datatype in datatypes.items()}
    nodes = [node("Identity", [name], [f"{name}_out"]) for name in kinds]
    inputs = [value(name, kind, ("N",)) for name, kind in kinds.items()]
    outputs = [value(f"{name}_out", kind, ("N",)) for name, kind in kinds.items()]
    return bytes(onnx_model(nodes, inputs, outputs).SerializeToString())


def pairs() -> bytes:
    """y = x as pairs: fails for an odd number of elements."""
    nodes = [node("Reshape", ["x", "shape"], ["y"])]
    weights = [constant("shape", [-1, 2], "int64")]
    inputs, outputs = [value("x", FLOAT, ("N",))], [value("y", FLOAT, ("M", 2))]
    return bytes(onnx_model(nodes, inputs, outputs, weights).SerializeToString())


def square_root() -> bytes:
    """y = sqrt(x): a NaN for a negative number."""
    inputs, outputs = [value("x", FLOAT, ("N",))], [value("y", FLOAT, ("N",))]
    nodes = [node("Sqrt", ["x"], ["y"])]
    return bytes(onnx_model(nodes, inputs, outputs).SerializeToString())


def fp32(name: str, *values: float) -> Given:
    """Return an FP32 input [n] as JSON brings it."""
    return Given(name=name, datatype="FP32", shape=(len(values),), data=list(values))


def plan(
    name: str, given: Sequence[Given], user: Any = None, limit_s: float = LIMIT_S, **wishes: Any
) -> Plan:
    """Return the plan of a request."""
    target = find_target(name, None, user)
    return make_plan(target, given, Wishes(**wishes), user, limit_s=limit_s)


def run_queued(count: int = 1) -> None:
    """Run queued executions to their ends, as a worker does."""
    for held in queue.claim(count):
        work(held)
