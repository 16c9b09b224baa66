"""The operations of the socket: a header and bytes in, a header and bytes out.

    status    what runs here, and which layers of the jail hold
    identity  the public key
    register  the statement that registers it
    infer     run a model, hash both tensor sets, sign
    load      the same up to the model's signature
    inspect   check an ONNX file (see `inspection`)
    blob      a file of a model, for the next request of the same connection

`infer`, `load` and `inspect` answer `{"need": [{"sha256"}]}` when files are missing here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from socket import socket
from typing import Any

from assay.errors import FormatError
from assay.manifest import Manifest
from assay.statements import Graph
from assay.tensors import Tensor, canonical_nan, tensor_digest
from inference.executor.blobs import BlobCache, Pinned
from inference.executor.hosts import Loaded, ModelBytes
from inference.executor.inspection import Inspector, Need
from inference.executor.limits import SLOT_WAIT_S
from inference.executor.pool import Pool, Ran, Task
from inference.executor.protocol import (
    MAX_BLOB_BYTES,
    MAX_TENSOR_BYTES,
    Frame,
    Refusal,
)
from inference.executor.signing import Digests, Signer, Subjects, manifest_of, pairs_of
from inference.executor.values import parse_tensors

TAILS = {"infer": MAX_TENSOR_BYTES, "blob": MAX_BLOB_BYTES, "inspect": MAX_BLOB_BYTES}
_MAX_RUN_S = 900.0
NATIVE_ONLY = "native only: the portable runtime has no such tensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One connection of a web or worker process, and the files it has sent."""

    connection: socket
    blobs: Pinned


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The model that a request names: what gets loaded, and by which name it is warm."""

    manifest: Manifest
    graph: Graph
    external: tuple[tuple[str, str], ...]  # the path that the graph uses, SHA-256

    @property
    def key(self) -> str:
        """The graph's digest and, where there are some, its external files'."""
        return ":".join([self.graph.sha256, *(f"{path}={sha}" for path, sha in self.external)])


class Service:
    """The supervisor's operations over its pools, its key and its cache of files."""

    def __init__(
        self,
        pools: Mapping[str, Pool],
        signer: Signer,
        inspector: Inspector,
        blobs: BlobCache,
        layers: Mapping[str, bool],
    ) -> None:
        self._pools = pools  # by runtime digest; the first is the default
        self._signer = signer
        self._inspector = inspector
        self._layers = layers
        self.blobs = blobs
        self._operations: dict[str, Callable[[Frame, Session], Frame]] = {
            "status": self.status,
            "identity": self.identity,
            "register": self.register,
            "infer": self.infer,
            "load": self.load,
            "inspect": self.inspect,
            "blob": self.blob,
        }

    def answer(self, request: Frame, session: Session) -> Frame:
        """Return the answer to one request; errors are answers too.

        Raises:
            CallerGone: nobody waits for it.
        """
        operation = self._operations.get(str(request.header.get("op")))
        if operation is None:
            return _refuse(Refusal("bad_input", "no such operation"))
        try:
            result = operation(request, session)
        except Need as need:
            return Frame(header={"need": [{"sha256": sha256} for sha256 in need.digests]})
        except Refusal as refusal:
            result = _refuse(refusal)
        except FormatError as error:
            result = _refuse(Refusal("bad_input", str(error)))
        except MemoryError:
            result = _refuse(Refusal("internal", "out of memory", retry=True))
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
            kinds={kind: {"slots": total, "free": free} for kind, (total, free) in _by_kind(pools)},
            models=sorted({key for pool in pools for key in pool.warm()}),
            processes=[item for pool in pools for item in pool.processes()],
            restarts=sum(pool.restarts for pool in pools),
            fingerprint=self._signer.public.fingerprint,
            jail=dict(self._layers),
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

    def load(self, request: Frame, session: Session) -> Frame:
        """Warm a model up and say what it takes and gives."""
        loaded = self._pool(request.header).load(self._task(request, _target(request), session))
        return _ok(
            inputs=[value.to_dict() for value in loaded.inputs],
            outputs=[value.to_dict() for value in loaded.outputs],
        )

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
        input_digest = tensor_digest(inputs)

        def prepare(loaded: Loaded) -> tuple[list[Tensor], list[str]]:
            _check_inputs(loaded, inputs, pool.runtime.kind)
            return inputs, _output_names(loaded, header.get("outputs"))

        ran = pool.run(self._task(request, target, session), prepare)
        outputs = [canonical_nan(tensor) for tensor in ran.outputs]
        digests = Digests.draw(input_digest, tensor_digest(outputs), private=private)
        subjects = Subjects(
            execution=_text(header, "execution"),
            model=_text(header, "model"),
            revision=_text(header, "revision"),
            manifest=target.manifest.digest,
            graph=target.graph,
        )
        envelope = self._signer.execution(subjects, digests, ran, pool.runtime, observed)
        return _inferred(envelope, digests, outputs, ran)

    def _pool(self, header: dict[str, Any]) -> Pool:
        kind, wanted = header.get("kind", "portable"), header.get("runtime")
        for digest, pool in self._pools.items():
            if pool.runtime.kind == kind and wanted in (None, digest):
                return pool
        raise Refusal("unavailable", f"this executor has no such {str(kind)[:20]} runtime")

    def _task(self, request: Frame, target: Target, session: Session) -> Task:
        def fetch() -> ModelBytes:
            wanted = [target.graph.sha256, *(sha256 for _, sha256 in target.external)]
            found = {sha256: session.blobs.get(sha256) for sha256 in wanted}
            missing = [sha256 for sha256, data in found.items() if data is None]
            if missing:
                raise Need(missing)
            files = {sha256: data for sha256, data in found.items() if data is not None}
            return ModelBytes(
                key=target.key,
                graph=files[target.graph.sha256],
                external=tuple((path, files[sha256]) for path, sha256 in target.external),
            )

        return Task(
            key=target.key,
            fetch=fetch,
            slot_wait_s=_seconds(request.header.get("slot_wait_s", SLOT_WAIT_S)),
            run_s=_seconds(request.header.get("deadline_s")),
            caller=session.connection,
        )


def _by_kind(pools: Sequence[Pool]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield each kind, and how many slots it has and how many are free."""
    for kind in sorted({pool.runtime.kind for pool in pools}):
        own = [pool for pool in pools if pool.runtime.kind == kind]
        yield kind, (sum(pool.slots for pool in own), sum(pool.free for pool in own))


def _target(request: Frame) -> Target:
    header = request.header
    resources = header.get("resources")
    if not isinstance(resources, list):
        raise Refusal("bad_input", "the request has no resources")
    manifest = manifest_of(pairs_of(resources))
    digests = {item.name: item.sha256 for item in manifest.resources}
    path = _text(header, "graph")
    external = header.get("external") or []
    if path not in digests or not isinstance(external, list):
        raise Refusal("bad_input", f"{path[:200]} is no file of the manifest")
    folder = PurePosixPath(path).parent
    files = []
    for name in sorted(map(str, external)):
        if name not in digests or not PurePosixPath(name).is_relative_to(folder):
            raise Refusal("bad_input", f"{name[:200]} is no file beside the graph")
        files.append((str(PurePosixPath(name).relative_to(folder)), digests[name]))
    graph = Graph(path=path, sha256=digests[path])
    return Target(manifest=manifest, graph=graph, external=tuple(files))


def _check_inputs(loaded: Loaded, inputs: list[Tensor], kind: str) -> None:
    """Compare names and datatypes; whether the shapes fit is for the runtime to say."""
    declared = {value.name: value.datatype for value in loaded.inputs}
    given = {tensor.name for tensor in inputs}
    for name in declared:
        if name not in given:
            raise Refusal("bad_input", f"the input {name[:200]!r} is missing")
    for tensor in inputs:
        if tensor.datatype == "BF16" and kind == "portable":
            raise Refusal("bad_input", f"BF16 is {NATIVE_ONLY}")
        if tensor.name not in declared:
            raise Refusal("bad_input", f"the model has no input {tensor.name[:200]!r}")
        if declared[tensor.name] != tensor.datatype:
            raise Refusal(
                "bad_input",
                f"the input {tensor.name[:200]!r} is {declared[tensor.name]}, "
                f"not {tensor.datatype}",
            )


def _output_names(loaded: Loaded, wanted: object) -> list[str]:
    names = [value.name for value in loaded.outputs]
    if wanted is None:
        return names
    if not isinstance(wanted, list) or not wanted or len(set(map(str, wanted))) != len(wanted):
        raise Refusal("bad_input", "outputs are distinct names")
    for name in wanted:
        if name not in names:
            raise Refusal("bad_input", f"the model has no output {str(name)[:200]!r}")
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
        raise Refusal("bad_input", f"the request has no {name}")
    return value


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _MAX_RUN_S:
        raise Refusal("bad_input", f"a time limit is a number of seconds up to {_MAX_RUN_S:.0f}")
    return float(value)


def _ok(**fields: Any) -> Frame:
    return Frame(header={"ok": True, **fields})


def _refuse(refusal: Refusal) -> Frame:
    return Frame(header=refusal.to_header())
