"""`assay-capsule-v1`: one node, its inputs, and what two runs claim of its outputs, in one file.

A ZIP archive, uncompressed, with a fixed order, fixed times and no comments, so that one capsule
has one spelling: what is read is written again and must come out the same.

    capsule.json          what is claimed, and the SHA-256 of every other file (RFC 8785)
    node.onnx             the node as a model of its own
    inputs.tensors        what it reads (assay-tensors-v1)
    claim-0.tensors       what the first trace says it gives, where somebody had the bytes
    claim-1.tensors       the same of the second

A capsule proves nothing by who made it. It is a small question that anybody can answer again.
"""

from __future__ import annotations

import io
import struct
import zipfile
from dataclasses import dataclass
from typing import Any, Self

from assay.canonical import as_list, as_object, as_text, canonical_json, parse_json
from assay.closeness import Bound, reduction, ulp
from assay.digests import parse_hex, sha256_hex
from assay.errors import FormatError, MisuseError
from assay.tensors import Tensor, decode_tensors, encode_tensors
from assay.trace import Value, value_of

FORMAT = "assay-capsule-v1"
MAX_CAPSULE_BYTES = 512 * 2**20
MAX_CLAIMS = 2
_HEAD, _NODE, _INPUTS = "capsule.json", "node.onnx", "inputs.tensors"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16
_UNIX = 3
_BROKEN = (  # NotImplementedError: compressed in a way that this Python does not know
    *(zipfile.BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError, ValueError),
    struct.error,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one trace, of the hex digest `trace`, says that the node gave.

    `tensors` are those outputs themselves, and empty where only their digests are known.
    """

    label: str
    trace: str
    outputs: tuple[Value, ...]
    tensors: tuple[Tensor, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The node: its place in the graph with the hex SHA-256 `graph`, on input.tensors `input`."""

    graph: str
    input: str
    index: int
    name: str
    op_type: str
    domain: str

    @property
    def place(self) -> str:
        """The node in words: `node 3 (Relu "act")`."""
        return f"node {self.index} ({self.op_type}" + (f' "{self.name}")' if self.name else ")")


@dataclass(frozen=True, slots=True, kw_only=True)
class Capsule:
    """One node alone: `model` is its ONNX file, `runtime` that of the run, with its options."""

    subject: Subject
    runtime: dict[str, Any]
    bound: Bound
    model: bytes
    inputs: tuple[Tensor, ...]
    claims: tuple[Claim, ...]

    def render(self) -> bytes:
        """Return the bytes of the archive.

        Raises:
            FormatError: no claim or too many, tensors that are not those of their claim, or more
                than `MAX_CAPSULE_BYTES`.
        """
        if not 1 <= len(self.claims) <= MAX_CLAIMS:
            raise FormatError(f"a capsule has 1 to {MAX_CLAIMS} claims", "claims")
        for claim in self.claims:
            if claim.tensors and tuple(map(value_of, claim.tensors)) != claim.outputs:
                raise FormatError("the tensors are not those of the claim", claim.label)
        files = {_NODE: self.model, _INPUTS: encode_tensors(self.inputs)}
        for number, claim in enumerate(self.claims):
            if claim.tensors:
                files[_file(number)] = encode_tensors(claim.tensors)
        head = canonical_json(self._head(files))
        if sum(map(len, files.values())) + len(head) > MAX_CAPSULE_BYTES:
            raise FormatError(f"a capsule has at most {MAX_CAPSULE_BYTES} bytes")
        return _pack({_HEAD: head, **files})

    def _head(self, files: dict[str, bytes]) -> dict[str, Any]:
        subject, bound = self.subject, self.bound
        return {
            "format": FORMAT,
            "graph": {"sha256": subject.graph},
            "input": {"sha256": subject.input},
            "node": {
                "index": subject.index,
                "name": subject.name,
                "op_type": subject.op_type,
                "domain": subject.domain,
            },
            "runtime": self.runtime,
            "bound": {"ulps": bound.ulps, "floor": bound.floor, "k": bound.k},
            "claims": [
                {
                    "label": claim.label,
                    "trace": {"sha256": claim.trace},
                    "outputs": [value.to_dict() for value in claim.outputs],
                }
                for claim in self.claims
            ],
            "files": {name: sha256_hex(data) for name, data in files.items()},
        }

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read the bytes of an archive.

        Raises:
            FormatError: not the format, a second spelling of it, a file with another digest, or
                tensors that are not those of their claim.
        """
        files = _unpack(data)
        names = ("format", "graph", "input", "node", "runtime", "bound", "claims", "files")
        head = as_object(parse_json(files.pop(_HEAD, b""), path=_HEAD), _HEAD, required=names)
        if head["format"] != FORMAT:
            raise FormatError(f"is not {FORMAT}", "format")
        if not isinstance(head["runtime"], dict):
            raise FormatError("is not an object", "runtime")
        if head["files"] != {name: sha256_hex(item) for name, item in files.items()}:
            raise FormatError("the files are not those of capsule.json", "files")
        if not {_NODE, _INPUTS} <= set(files):
            raise FormatError("the node or its inputs are missing", "files")
        capsule = cls(
            subject=_subject(head),
            runtime=head["runtime"],
            bound=_bound(head["bound"]),
            model=files[_NODE],
            inputs=tuple(decode_tensors(files[_INPUTS])),
            claims=tuple(_claims(head["claims"], files)),
        )
        if capsule.render() != data:
            raise FormatError("is another spelling of the same capsule")
        return capsule


def _file(number: int) -> str:
    return f"claim-{number}.tensors"


def _subject(head: dict[str, Any]) -> Subject:
    node = as_object(head["node"], "node", required=("index", "name", "op_type", "domain"))
    index = node["index"]
    if not isinstance(index, int) or isinstance(index, bool) or index < 0:
        raise FormatError("is no number from 0", "node.index")
    return Subject(
        graph=_sha256(head["graph"], "graph"),
        input=_sha256(head["input"], "input"),
        index=index,
        **{key: as_text(node[key], f"node.{key}") for key in ("name", "op_type", "domain")},
    )


def _bound(value: object) -> Bound:
    given = as_object(value, "bound", required=("ulps", "floor", "k"))
    for name, item in given.items():
        if not isinstance(item, int | float) or isinstance(item, bool) or item < 0:
            raise FormatError("is no number from 0", f"bound.{name}")
    k = given["k"]
    try:
        sums = reduction(k) if k else ulp(0)
    except MisuseError as error:
        raise FormatError(str(error), "bound.k") from error
    if not isinstance(k, int):
        raise FormatError("is no whole number", "bound.k")
    return ulp(given["ulps"], given["floor"]).looser(sums)


def _claims(value: object, files: dict[str, bytes]) -> list[Claim]:
    claims = []
    for number, item in enumerate(as_list(value, "claims")):
        path = f"claims[{number}]"
        given = as_object(item, path, required=("label", "trace", "outputs"))
        outputs = as_list(given["outputs"], f"{path}.outputs")
        values = [Value.from_dict(v, f"{path}.outputs[{i}]") for i, v in enumerate(outputs)]
        tensors = decode_tensors(files[_file(number)]) if _file(number) in files else []
        order = {value.name: place for place, value in enumerate(values)}
        tensors.sort(key=lambda tensor: order.get(tensor.name, -1))
        claims.append(
            Claim(
                label=as_text(given["label"], f"{path}.label"),
                trace=_sha256(given["trace"], f"{path}.trace"),
                outputs=tuple(values),
                tensors=tuple(tensors),
            )
        )
    return claims


def _sha256(value: object, path: str) -> str:
    inner = as_object(value, path, required=("sha256",))["sha256"]
    return parse_hex(inner, f"{path}.sha256").hex()


def _pack(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, date_time=_EPOCH)
            info.create_system, info.external_attr = _UNIX, _MODE
            archive.writestr(info, data)
    return buffer.getvalue()


def _unpack(data: bytes) -> dict[str, bytes]:
    """Return the files of the archive; nothing is inflated, so nothing can grow."""
    if len(data) > MAX_CAPSULE_BYTES + 2**16:
        raise FormatError(f"a capsule has at most {MAX_CAPSULE_BYTES} bytes")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            listed = archive.infolist()
            if len(listed) > 3 + MAX_CLAIMS:
                raise FormatError("the archive has too many files")
            if any(item.compress_type != zipfile.ZIP_STORED for item in listed):
                raise FormatError("the archive is compressed")
            return {item.filename: archive.read(item) for item in listed}
    except _BROKEN as error:
        raise FormatError(f"is no ZIP archive: {error}") from error
