"""The operations of the socket: a header and bytes in, a header and bytes out.

    status    what runs here, and which layers of the jail hold
    identity  the public key
    register  the statement that registers it
    infer     run a model, hash both tensor sets, sign
    infer_many    the same for several executions of one model (see `many`)
    load      the same up to the model's signature
    warm      load a model and run it once on zeros; nothing is signed
    trace     run a model again, and hash every value (see `trace`)
    probe     run a model several times in fresh processes, and hash each output (see `probe`)
    inspect   check an ONNX file (see `inspection`)
    sketch    the skeleton of an ONNX graph, for a drawing (see `inspect.sketch`)
    blob      a file of a model, for the next request of the same connection

`infer`, `load`, `warm`, `inspect` and `sketch` answer `{"need": [{"sha256"}]}` when files are
missing here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from socket import socket
from typing import Any

from assay.errors import FormatError
from assay.manifest import Manifest
from assay.statements import Graph
from assay.tensors import Tensor, canonical_nan, tensor_digest
from inference.executor import many
from inference.executor.blobs import BlobCache, Pinned
from inference.executor.counters import Counters
from inference.executor.hosts import Loaded, ModelBytes
from inference.executor.inspection import Inspector, NeedError
from inference.executor.limits import SLOT_WAIT_S
from inference.executor.pool import Pool, Ran, Task
from inference.executor.probe import Prober
from inference.executor.protocol import (
    MAX_BLOB_BYTES,
    MAX_TENSOR_BYTES,
    Frame,
    RefusalError,
)
from inference.executor.signing import Digests, Signer, Subjects, pairs_of
from inference.executor.trace import Tracer
from inference.executor.trial import zero_run
from inference.executor.values import beside, model_key, parse_tensors
from inference.failpoints import reach

TAILS = {
    "infer": MAX_TENSOR_BYTES,
    "infer_many": MAX_TENSOR_BYTES,
    "blob": MAX_BLOB_BYTES,
    "inspect": MAX_BLOB_BYTES,
    "trace": MAX_TENSOR_BYTES,
    "probe": MAX_TENSOR_BYTES,
}
_MAX_RUN_S = 900.0
_PARTY = 100  # letters of a party's name
NATIVE_ONLY = "native only: the portable runtime has no such tensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One connection of a web or worker process, and the files it has sent."""

    connection: socket
    blobs: Pinned


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The model that a request names: what gets loaded, and by which name it is warm.

    `manifest` is the digest of all files of the revision.
    """

    manifest: str
    graph: Graph
    external: tuple[tuple[str, str], ...]  # the path that the graph uses, SHA-256

    @property
    def key(self) -> str:
        """The graph's digest and, where there are some, its external files'."""
        return model_key(self.graph.sha256, self.external)


class Service:
    """The supervisor's operations over its pools, its key and its cache of files."""

    def __init__(
        self,
        pools: Mapping[str, Pool],
        signer: Signer,
        inspector: Inspector,
        blobs: BlobCache,
        layers: Mapping[str, bool],
        counters: Counters,
        tracer: Tracer,
        prober: Prober,
    ) -> None:
        self._pools = pools  # by runtime digest; the first is the default
        self._signer = signer
        self._inspector = inspector
        self._layers = layers
        self._counters = counters
        self._tracer = tracer
        self._prober = prober
        self.blobs = blobs
        self._operations: dict[str, Callable[[Frame, Session], Frame]] = {
            "status": self.status,
            "identity": self.identity,
            "register": self.register,
            "infer": self.infer,
            "infer_many": self.infer_many,
            "load": self.load,
            "warm": self.warm,
            "inspect": self.inspect,
            "sketch": self.sketch,
            "trace": self.trace,
            "probe": self.probe,
            "blob": self.blob,
        }

    def answer(self, request: Frame, session: Session) -> Frame:
        """Return the answer to one request; errors are answers too.

        Raises:
            CallerGoneError: nobody waits for it.
        """
        operation = self._operations.get(str(request.header.get("op")))
        if operation is None:
            return _refuse(RefusalError("bad_input", "no such operation"))
        try:
            result = operation(request, session)
        except NeedError as need:
            return Frame(header={"need": [{"sha256": sha256} for sha256 in need.digests]})
        except RefusalError as refusal:
            result = _refuse(refusal)
        except FormatError as error:
            result = _refuse(RefusalError("bad_input", str(error)))
        except MemoryError:
            result = _refuse(RefusalError("internal", "out of memory", retry=True))
        if request.header["op"] != "blob":
            session.blobs.clear()
        return result

    def status(self, request: Frame, session: Session) -> Frame:
        """Say what runs here."""
        every = list(self._pools.values())
        pools = [pool for pool in every if pool.started]
        return _ok(
            runtimes=[pool.runtime.to_dict() for pool in every],
            slots=sum(pool.slots for pool in pools),
            free=sum(pool.free for pool in pools),
            kinds=dict(_by_kind(pools)),
            models=sorted({key for pool in pools for key in pool.warm()}),
            processes=[item for pool in pools for item in pool.processes()],
            restarts=sum(pool.restarts for pool in pools),
            fingerprint=self._signer.public.fingerprint,
            jail=dict(self._layers),
            quarantined=[
                {**item, "kind": pool.runtime.kind}
                for pool in pools
                for item in pool.quarantine.listed(time.time())
            ],
            unrunnable=[
                {**item, "kind": pool.runtime.kind}
                for pool in pools
                for item in pool.quarantine.unrunnable()
            ],
            counters=self._counters.to_dict(),
        )

    def identity(self, request: Frame, session: Session) -> Frame:
        """Show the public key."""
        public = self._signer.public
        return _ok(public_key=public.pem, fingerprint=public.fingerprint)

    def register(self, request: Frame, session: Session) -> Frame:
        """Sign the registration of the own key."""
        observed = self._signer.observe(request.header.get("checkpoint"))
        owner = _text(request.header, "owner")
        return _ok(envelope=self._signer.register(owner, observed))

    def blob(self, request: Frame, session: Session) -> Frame:
        """Take a file of a model."""
        session.blobs.put(request.header.get("sha256"), request.tail)
        return _ok()

    def inspect(self, request: Frame, session: Session) -> Frame:
        """Check an ONNX file."""
        report = self._inspector.inspect(request, session.blobs.get)
        return _ok(**report)

    def sketch(self, request: Frame, session: Session) -> Frame:
        """Read what a drawing of a graph needs."""
        return _ok(**self._inspector.sketch(request, session.blobs.get))

    def trace(self, request: Frame, session: Session) -> Frame:
        """Run a model again and hash every value of the run (see `trace`)."""
        pool = self._pool(request.header)
        task = self._task(pool, request, _target(request), session)
        return self._tracer.answer(request, pool.program, pool.runtime, task.fetch, task.caller)

    def probe(self, request: Frame, session: Session) -> Frame:
        """Run a model several times in fresh processes (see `probe`)."""
        pool = self._pool(request.header)
        task = self._task(pool, request, _target(request), session)
        return self._prober.answer(request, pool.program, pool.runtime, task.fetch, task.caller)

    def load(self, request: Frame, session: Session) -> Frame:
        """Warm a model up and say what it takes and gives."""
        pool = self._pool(request.header)
        loaded = pool.load(self._task(pool, request, _target(request), session))
        return _ok(
            inputs=[value.to_dict() for value in loaded.inputs],
            outputs=[value.to_dict() for value in loaded.outputs],
        )

    def warm(self, request: Frame, session: Session) -> Frame:
        """Load a model and run it once on zeros; say whether that went well, and if not, why."""
        pool = self._pool(request.header)
        task = self._task(pool, request, _target(request), session)
        try:
            ran = pool.run(task, zero_run)
        except RefusalError as refusal:
            if refusal.retry:
                raise
            return _ok(runnable=False, code=refusal.code, reason=refusal.message, run_ms=None)
        self._counters.add("warmed")
        return _ok(runnable=True, code="", reason="", run_ms=round(ran.run_ms, 3))

    def infer(self, request: Frame, session: Session) -> Frame:
        """Run a model and sign what happened."""
        header = request.header
        pool = self._pool(header)
        observed = self._signer.observe(header.get("checkpoint"))
        target = _target(request)
        private = header.get("private") not in (None, False)
        inputs = [
            canonical_nan(tensor)
            for tensor in parse_tensors(header.get("inputs"), request.tail, "inputs")
        ]
        begun = time.monotonic()
        input_digest = tensor_digest(inputs)
        hashing = time.monotonic() - begun

        def prepare(loaded: Loaded) -> tuple[list[Tensor], list[str]]:
            _check_inputs(loaded, inputs, pool.runtime.kind)
            return inputs, _output_names(loaded, header.get("outputs"))

        ran = pool.run(self._task(pool, request, target, session), prepare)
        reach("executor-after-run")
        begun = time.monotonic()
        outputs = [canonical_nan(tensor) for tensor in ran.outputs]
        digests = Digests.draw(input_digest, tensor_digest(outputs), private=private)
        self._counters.took("hash", hashing + time.monotonic() - begun)
        subjects = Subjects(
            execution=_text(header, "execution"),
            model=_text(header, "model"),
            revision=_text(header, "revision"),
            manifest=target.manifest,
            graph=target.graph,
        )
        begun = time.monotonic()
        envelope = self._signer.execution(subjects, digests, ran, pool.runtime, observed)
        self._counters.took("sign", time.monotonic() - begun)
        reach("executor-after-signature")
        return _inferred(envelope, digests, outputs, ran)

    def infer_many(self, request: Frame, session: Session) -> Frame:
        """Do it for several executions of one model, each for itself."""
        return many.infer_many(request, lambda one: self.infer(one, session), missing=NeedError)

    def _pool(self, header: dict[str, Any]) -> Pool:
        kind, wanted = header.get("kind", "portable"), header.get("runtime")
        for digest, pool in self._pools.items():
            if pool.runtime.kind == kind and wanted in (None, digest):
                return pool
        raise RefusalError("unavailable", f"this executor has no such {str(kind)[:20]} runtime")

    def _task(self, pool: Pool, request: Frame, target: Target, session: Session) -> Task:
        def fetch() -> ModelBytes:
            wanted = [target.graph.sha256, *(sha256 for _, sha256 in target.external)]
            found = {sha256: session.blobs.get(sha256) for sha256 in wanted}
            missing = [sha256 for sha256, data in found.items() if data is None]
            if missing:
                raise NeedError(missing)
            files = {sha256: data for sha256, data in found.items() if data is not None}
            return ModelBytes(
                key=target.key,
                graph=files[target.graph.sha256],
                external=tuple((path, files[sha256]) for path, sha256 in target.external),
            )

        if not pool.holds(target.key):
            fetch()  # who has to send files first need not wait for a process twice
        return Task(
            key=target.key,
            fetch=fetch,
            slot_wait_s=_seconds(request.header.get("slot_wait_s", SLOT_WAIT_S)),
            run_s=_seconds(request.header.get("deadline_s")),
            caller=session.connection,
            party=str(request.header.get("party") or "")[:_PARTY],
        )


def _by_kind(pools: Sequence[Pool]) -> Iterator[tuple[str, dict[str, int]]]:
    """Yield each kind: its slots, how many are free, how many requests wait."""
    for kind in sorted({pool.runtime.kind for pool in pools}):
        own = [pool for pool in pools if pool.runtime.kind == kind]
        yield (
            kind,
            {
                "slots": sum(pool.slots for pool in own),
                "free": sum(pool.free for pool in own),
                "waiting": sum(pool.waiting for pool in own),
            },
        )


def _target(request: Frame) -> Target:
    header = request.header
    resources = header.get("resources")
    if not isinstance(resources, list):
        raise RefusalError("bad_input", "the request has no resources")
    path = _text(header, "graph")
    external = header.get("external") or []
    if not isinstance(external, list):
        raise RefusalError("bad_input", "external is a list of paths")
    return _target_of(pairs_of(resources), path, tuple(map(str, external)))


@lru_cache(maxsize=64)
def _target_of(pairs: tuple[tuple[str, str], ...], path: str, external: tuple[str, ...]) -> Target:
    """Return what a request names; remembered, as it is the same each time."""
    manifest = Manifest.from_pairs(pairs)
    digests = {item.name: item.sha256 for item in manifest.resources}
    if path not in digests:
        raise RefusalError("bad_input", f"{path[:200]} is no file of the manifest")
    try:
        files = beside(path, external, digests)
    except (KeyError, ValueError) as error:
        words = f"of the external files one is no file beside the graph: {error}"
        raise RefusalError("bad_input", words[:300]) from error
    graph = Graph(path=path, sha256=digests[path])
    return Target(manifest=manifest.digest, graph=graph, external=files)


def _check_inputs(loaded: Loaded, inputs: list[Tensor], kind: str) -> None:
    """Compare names and datatypes; whether the shapes fit is for the runtime to say."""
    declared = {value.name: value.datatype for value in loaded.inputs}
    given = {tensor.name for tensor in inputs}
    for name in declared:
        if name not in given:
            raise RefusalError("bad_input", f"the input {name[:200]!r} is missing")
    for tensor in inputs:
        if tensor.datatype == "BF16" and kind == "portable":
            raise RefusalError("bad_input", f"BF16 is {NATIVE_ONLY}")
        if tensor.name not in declared:
            raise RefusalError("bad_input", f"the model has no input {tensor.name[:200]!r}")
        if declared[tensor.name] != tensor.datatype:
            raise RefusalError(
                "bad_input",
                f"the input {tensor.name[:200]!r} is {declared[tensor.name]}, "
                f"not {tensor.datatype}",
            )


def _output_names(loaded: Loaded, wanted: object) -> list[str]:
    names = [value.name for value in loaded.outputs]
    if wanted is None:
        return names
    if not isinstance(wanted, list) or not wanted or len(set(map(str, wanted))) != len(wanted):
        raise RefusalError("bad_input", "outputs are distinct names")
    for name in wanted:
        if name not in names:
            raise RefusalError("bad_input", f"the model has no output {str(name)[:200]!r}")
    return wanted


def _inferred(envelope: str, digests: Digests, outputs: list[Tensor], ran: Ran) -> Frame:
    salts = None
    if digests.input_salt is not None and digests.output_salt is not None:
        salts = {"input": digests.input_salt.hex(), "output": digests.output_salt.hex()}
    return Frame(
        header={
            "ok": True,
            "envelope": envelope,
            "input_digest": digests.input,
            "output_digest": digests.output,
            "salts": salts,
            "outputs": [{**item.header(), "size": len(item.data)} for item in outputs],
            "run_ms": round(ran.run_ms, 3),
            "queue_ms": round(ran.queue_ms, 3),
            "cold": ran.cold,
        },
        parts=[item.data for item in outputs],
    )


def _text(header: dict[str, Any], name: str) -> str:
    value = header.get(name)
    if not isinstance(value, str):
        raise RefusalError("bad_input", f"the request has no {name}")
    return value


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _MAX_RUN_S:
        raise RefusalError(
            "bad_input", f"a time limit is a number of seconds up to {_MAX_RUN_S:.0f}"
        )
    return float(value)


def _ok(**fields: Any) -> Frame:
    return Frame(header={"ok": True, **fields})


def _refuse(refusal: RefusalError) -> Frame:
    return Frame(header=refusal.to_header())
