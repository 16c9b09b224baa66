"""Where the bytes of an execution come from: the reader's files, or the registry."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from pathlib import Path

from assay.digests import sha256_hex
from assay.errors import UnavailableError, VerificationError
from assay.limits import LIMITS
from assay.manifest import Manifest, check_path, parse_manifest
from assay.replay.job import Fetch, Material
from assay.replay.onnx_data import external_locations
from assay.statements import ExecutionPredicate

_BLOB_BYTES = 2**31 - 1
_BLOB_S = 600.0
_RUNTIME_FILE_BYTES = 64 * 2**20


class Registry:
    """A registry's blobs and tensors, by HTTP. Every blob is compared with its address."""

    def __init__(self, base: str, fetch: Fetch) -> None:
        self._base = base.rstrip("/")
        self._fetch = fetch

    def blob(self, sha256: str, *, limit: int = _BLOB_BYTES) -> bytes:
        """Return the bytes with this hex SHA-256.

        Raises:
            UnavailableError: no answer.
            VerificationError: the registry sent other bytes.
        """
        data = self._fetch(f"{self._base}/sha256/{sha256}", limit=limit, timeout_s=_BLOB_S)
        found = sha256_hex(data)
        if found != sha256:
            raise VerificationError("the registry sent another blob", expected=sha256, found=found)
        return data

    def tensors(self, execution: str, name: str) -> bytes:
        """Return `input.tensors` or `output.tensors` of an execution, unchecked."""
        url = f"{self._base}/executions/{execution}/{name}.tensors"
        return self._fetch(url, limit=LIMITS.tensor_bytes, timeout_s=_BLOB_S)

    def runtime_file(self, digest: str, name: str) -> bytes:
        """Return a file of the runtime with this digest, unchecked."""
        url = f"{self._base}/runtimes/{digest}/{name}"
        return self._fetch(url, limit=_RUNTIME_FILE_BYTES, timeout_s=_BLOB_S)

    def manifest(self, digest: str) -> Manifest:
        """Return the manifest with this digest: its RFC 8785 form is a blob of that address."""
        return parse_manifest(self.blob(digest, limit=LIMITS.bundle))


def material_from_registry(
    predicate: ExecutionPredicate, registry: Registry, *, input_tensors: bytes | None = None
) -> Material:
    """Fetch the graph, its external data, and the input where it is not given.

    Raises:
        UnavailableError: no answer.
        VerificationError: other bytes than the receipt names.
        FormatError: the graph is not protobuf, or names a file outside its folder.
    """
    graph = registry.blob(predicate.graph.sha256)
    locations = external_locations(graph)
    external = {}
    if locations:
        listed = {r.name: r.sha256 for r in registry.manifest(predicate.manifest).resources}
        external = _external(
            predicate.graph.path, locations, lambda name: registry.blob(_listed(listed, name))
        )
    if input_tensors is None:
        input_tensors = registry.tensors(predicate.execution, "input")
    return Material(graph=graph, external=external, input=input_tensors)


def read_model(
    predicate: ExecutionPredicate, place: Path, manifest: Manifest | None
) -> tuple[bytes, dict[str, bytes]]:
    """Return graph and external data from the reader's disk.

    `place` is the graph itself, or the model folder, whose `manifest` the caller has read.

    Raises:
        UnavailableError: a file cannot be read, or the graph needs the files beside it.
        VerificationError: not the folder, or not the graph, that the receipt names.
    """
    if manifest is None:
        graph = _checked(place, predicate.graph.sha256)
        if external_locations(graph):
            raise UnavailableError("the graph reads files beside it: give the whole model folder")
        return graph, {}
    if manifest.digest != predicate.manifest:
        raise VerificationError(
            "the folder is another model", expected=predicate.manifest, found=manifest.digest
        )
    listed = {item.name: item.sha256 for item in manifest.resources}
    graph = _checked(place / predicate.graph.path, predicate.graph.sha256)
    return graph, _external(
        predicate.graph.path,
        external_locations(graph),
        lambda name: _checked(place / name, _listed(listed, name)),
    )


def _external(
    graph_path: str, locations: list[str], read: Callable[[str], bytes]
) -> dict[str, bytes]:
    external = {}
    for location in locations:
        name = posixpath.normpath(posixpath.join(posixpath.dirname(graph_path), location))
        check_path(name, "external data")
        external[location] = read(name)
    return external


def _listed(listed: dict[str, str], name: str) -> str:
    if name not in listed:
        raise VerificationError(f"the graph reads {name!r}, which the manifest does not list")
    return listed[name]


def _checked(path: Path, sha256: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror}") from error
    found = sha256_hex(data)
    if found != sha256:
        raise VerificationError(
            f"{path.name} is not the file of the receipt", expected=sha256, found=found
        )
    return data
