"""The values that several predicates share: checkpoint seen, graph, tensors, runtime."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from assay.canonical import as_list, as_object, as_text
from assay.digests import sha256_hex
from assay.errors import FormatError
from assay.manifest import Resource, check_path
from assay.statements.fields import Wire, digest, one_of, read, size, text

PORTABLE, NATIVE = "portable", "native"
LEVELS = ("disabled", "basic", "extended", "layout", "all")
_MAX_THREADS = 1024
_RUNTIME = ("kind", "name", "version", "files", "digest", "options")


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed(Wire):
    """The newest checkpoint that the signer had seen: the statement is not older than it."""

    origin: str = field(metadata=read(text))
    tree_size: int = field(metadata=read(size))
    root_hash: str = field(metadata=read(digest))


def _path(value: object, path: str) -> str:
    result = as_text(value, path)
    check_path(result, path)
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph(Wire):
    """The file that ran: its path in the model folder and its hex SHA-256."""

    path: str = field(metadata=read(_path))
    sha256: str = field(metadata=read(digest))


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSet(Wire):
    """A set of tensors: by its digest, or (private) by a commitment to that digest.

    `form` is `digest` or `commitment`, `sha256` the hex value.
    """

    form: str
    sha256: str

    @classmethod
    def from_dict(cls, value: object, path: str = "") -> Self:
        """Read `{"digest": {"sha256": …}}` or `{"commitment": {"sha256": …}}`; else FormatError."""
        fields = as_object(value, path, required=(), optional=("digest", "commitment"))
        if len(fields) != 1:
            raise FormatError("is neither a digest nor a commitment", path)
        ((form, inner),) = fields.items()
        where = f"{path}.{form}"
        sha256 = as_object(inner, where, required=("sha256",))["sha256"]
        return cls(form=form, sha256=digest(sha256, f"{where}.sha256"))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {self.form: {"sha256": self.sha256}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime(Wire):
    """What ran the graph, by the digest of its files, and every option that moves bits.

    `files` are sorted by name; `isa`, for `native` only, names the instruction sets that the
    library dispatches on. `level` is ONNX Runtime's graph optimisation level.
    """

    kind: str
    name: str
    version: str
    files: tuple[Resource, ...]
    level: str
    threads: int
    isa: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Hex SHA-256 over the files' raw digests, in name order."""
        return sha256_hex(b"".join(bytes.fromhex(item.sha256) for item in self.files))

    @property
    def options(self) -> dict[str, Any]:
        """The options as the statement writes them."""
        return {"graphOptimizationLevel": self.level, "threads": self.threads}

    def comparable(self, other: Runtime) -> bool:
        """Tell whether two runs of one graph and input under both must give the same bits."""
        return (self.kind, self.digest, self.level, self.threads, self.isa) == (
            other.kind,
            other.digest,
            other.level,
            other.threads,
            other.isa,
        )

    @classmethod
    def from_dict(cls, value: object, path: str = "") -> Self:
        """Read the runtime object.

        Raises:
            FormatError: a field is missing, unknown or wrong, or the digest is not the files'.
        """
        isa = ("isa",) if isinstance(value, dict) and value.get("kind") == NATIVE else ()
        fields = as_object(value, path, required=(*_RUNTIME, *isa))
        options = as_object(
            fields["options"], f"{path}.options", required=("graphOptimizationLevel", "threads")
        )
        threads = size(options["threads"], f"{path}.options.threads")
        if not 1 <= threads <= _MAX_THREADS:
            raise FormatError(f"is not from 1 to {_MAX_THREADS}", f"{path}.options.threads")
        runtime = cls(
            kind=one_of(PORTABLE, NATIVE)(fields["kind"], f"{path}.kind"),
            name=text(fields["name"], f"{path}.name"),
            version=text(fields["version"], f"{path}.version"),
            files=_read_files(fields["files"], f"{path}.files"),
            level=one_of(*LEVELS)(
                options["graphOptimizationLevel"], f"{path}.options.graphOptimizationLevel"
            ),
            threads=threads,
            isa=_read_isa(fields.get("isa", []), f"{path}.isa"),
        )
        where = f"{path}.digest"
        sha256 = as_object(fields["digest"], where, required=("sha256",))["sha256"]
        if digest(sha256, f"{where}.sha256") != runtime.digest:
            raise FormatError("is not the digest over the files", where)
        return runtime

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        isa = {"isa": list(self.isa)} if self.kind == NATIVE else {}
        return {
            "kind": self.kind,
            "name": self.name,
            "version": self.version,
            "files": [{"name": item.name, "sha256": item.sha256} for item in self.files],
            "digest": {"sha256": self.digest},
            "options": self.options,
            **isa,
        }


def sorted_files(pairs: Iterable[tuple[str, str]]) -> tuple[Resource, ...]:
    """Return runtime files from (name, hex SHA-256) pairs, sorted by name."""
    return tuple(Resource(name=name, sha256=sha256) for name, sha256 in sorted(pairs))


def _read_files(value: object, path: str) -> tuple[Resource, ...]:
    files: list[Resource] = []
    for index, item in enumerate(as_list(value, path)):
        where = f"{path}[{index}]"
        fields = as_object(item, where, required=("name", "sha256"))
        name = _path(fields["name"], f"{where}.name")
        if files and name <= files[-1].name:
            raise FormatError("the files are not sorted by name, each once", where)
        files.append(Resource(name=name, sha256=digest(fields["sha256"], f"{where}.sha256")))
    if not files:
        raise FormatError("a runtime has a file", path)
    return tuple(files)


def _read_isa(value: object, path: str) -> tuple[str, ...]:
    return tuple(text(item, f"{path}[{i}]") for i, item in enumerate(as_list(value, path)))
