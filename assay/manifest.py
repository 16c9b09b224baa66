"""A model folder as a list of names and digests, and its OpenSSF Model Signing predicate.

The name of a model's content is `Manifest.digest`, which covers names and digests. OMS's own
subject digest (`Manifest.subject_digest`) leaves the names out: two files can be exchanged under
it. It is written because the standard asks for it, and never used to compare.

Stock verifiers skip every path that the signer chose to ignore, so that a signer can hide a file.
Here four names of Git and the signature file are excused, at top level, and nothing else is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from assay.canonical import as_list, as_object, as_text, canonical_json, parse_json
from assay.digests import parse_hex, sha256_hex
from assay.errors import FormatError, VerificationError
from assay.limits import LIMITS

OMS = "https://model_signing/signature/v1.0"
SIGNATURE_FILE = "model.sig"
IGNORED = (".git", ".gitattributes", ".github", ".gitignore", SIGNATURE_FILE)
_STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_METHODS = ("files", "shards")
_HASHES = ("sha256", "blake2b", "blake3")
_KEPT_PATHS = 1_024  # receipts of one runtime name the same files again and again
_GLOB = frozenset("*?[]")
_UNPRINTABLE = re.compile(r"[\\\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One file: its path inside the folder, and the hex SHA-256 of its bytes."""

    name: str
    sha256: str


class OmsStatement(Protocol):
    """What `parse_oms` reads of a statement (`assay.statements.Statement`)."""

    @property
    def predicate(self) -> dict[str, Any]:
        """The predicate, a JSON object."""

    @property
    def digests(self) -> tuple[str, ...]:
        """The hex SHA-256 of each subject, `""` for a subject that has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The files of a folder, sorted by name (code points), each name once, at least one.

    Raises:
        FormatError: no file, too many, a bad path or digest, another order, a name twice, or a
            name that is a folder of another.
    """

    resources: tuple[Resource, ...]

    def __post_init__(self) -> None:
        if not self.resources:
            raise FormatError("a manifest lists at least one file", "resources")
        if len(self.resources) > LIMITS.manifest_files:
            raise FormatError(f"more than {LIMITS.manifest_files} files", "resources")
        last = ""
        for index, resource in enumerate(self.resources):
            path = f"resources[{index}]"
            check_path(resource.name, f"{path}.name")
            parse_hex(resource.sha256, f"{path}.digest")
            if resource.name == last:
                raise FormatError(f"{resource.name!r} is listed twice", f"{path}.name")
            if resource.name < last:
                raise FormatError("the files are not sorted by name", f"{path}.name")
            last = resource.name
        self._check_folders()

    def _check_folders(self) -> None:
        names = {resource.name for resource in self.resources}
        for name in names:
            parts = name.split("/")
            for depth in range(1, len(parts)):
                folder = "/".join(parts[:depth])
                if folder in names:
                    raise FormatError(f"{folder!r} is a file and a folder", "resources")

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[str, str]]) -> Manifest:
        """Return the manifest of a folder's (path, hex SHA-256) pairs, in any order.

        The paths that OMS ignores by default (`is_ignored`) are left out.

        Raises:
            FormatError: as the class, above all: nothing left, a bad path, a path twice.
        """
        kept = sorted(pair for pair in pairs if not is_ignored(pair[0]))
        return cls(resources=tuple(Resource(name=name, sha256=digest) for name, digest in kept))

    def to_list(self) -> list[dict[str, str]]:
        """Return the `resources` array of the OMS predicate."""
        return [
            {"algorithm": "sha256", "digest": item.sha256, "name": item.name}
            for item in self.resources
        ]

    @property
    def digest(self) -> str:
        """The name of this content: hex SHA-256 of the RFC 8785 form of `resources`."""
        return sha256_hex(canonical_json(self.to_list()))

    @property
    def subject_digest(self) -> str:
        """OMS's subject digest: SHA-256 over the raw digests. It does not cover the names."""
        return sha256_hex(b"".join(bytes.fromhex(item.sha256) for item in self.resources))

    def oms_statement(self, folder_name: str) -> bytes:
        """Return the OMS statement over this folder, ready to be signed (RFC 8785)."""
        return canonical_json(
            {
                "_type": _STATEMENT_TYPE,
                "subject": [{"name": folder_name, "digest": {"sha256": self.subject_digest}}],
                "predicateType": OMS,
                "predicate": {
                    "serialization": {
                        "method": "files",
                        "hash_type": "sha256",
                        "allow_symlinks": False,
                        "ignore_paths": list(IGNORED),
                    },
                    "resources": self.to_list(),
                },
            }
        )

    def check_folder(self, found: Manifest) -> None:
        """Check that the folder `found` holds the files listed here, and no other.

        Raises:
            VerificationError: a file is missing, added or altered.
        """
        signed = {item.name: item.sha256 for item in self.resources}
        held = {item.name: item.sha256 for item in found.resources}
        for name, digest in signed.items():
            if name not in held:
                raise VerificationError(f"the signed file {name!r} is missing")
            if held[name] != digest:
                raise VerificationError(
                    f"the file {name!r} is not the signed one", expected=digest, found=held[name]
                )
        for name in held:
            if name not in signed:
                raise VerificationError(f"the file {name!r} is not listed in the signed manifest")


def is_ignored(name: str) -> bool:
    """Tell whether OMS leaves `name` out by default: five names, at top level only."""
    return name.split("/", 1)[0] in IGNORED


@lru_cache(maxsize=_KEPT_PATHS)
def check_path(name: str, path: str = "") -> None:
    """Check that `name` is a relative path with one spelling on every system.

    Raises:
        FormatError: empty, absolute, `.`, `..` or an empty segment, a backslash, a control
            character, not Unicode, too long or too deep.
    """
    try:
        length = len(name.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise FormatError("the path is not Unicode text", path) from error
    if length > LIMITS.path:
        raise FormatError(f"the path is longer than {LIMITS.path} bytes", path)
    if _UNPRINTABLE.search(name):
        raise FormatError("the path holds a backslash or a control character", path)
    segments = name.split("/")
    if len(segments) > LIMITS.path_depth:
        raise FormatError(f"the path is deeper than {LIMITS.path_depth}", path)
    for segment in segments:
        if segment in ("", ".", ".."):
            raise FormatError(f"the path {name!r} holds the segment {segment!r}", path)
        if len(segment.encode("utf-8")) > LIMITS.path_segment:
            raise FormatError(f"a segment is longer than {LIMITS.path_segment} bytes", path)


def parse_manifest(data: bytes) -> Manifest:
    """Return the manifest whose digest is the SHA-256 of `data`: its RFC 8785 form.

    Raises:
        FormatError: not an array of resources, or another spelling of one.
    """
    items = as_list(parse_json(data, path="manifest"), "manifest")
    manifest = Manifest(
        resources=tuple(_parse_resource(item, f"[{index}]") for index, item in enumerate(items))
    )
    if canonical_json(manifest.to_list()) != data:
        raise FormatError("is not in RFC 8785 form", "manifest")
    return manifest


def parse_oms(statement: OmsStatement) -> Manifest:
    """Return the manifest that an OMS statement signs. The predicate type is checked elsewhere.

    Raises:
        FormatError: the predicate is not the one that OMS v1.0 describes for `files`.
        VerificationError: a form that is legal OMS and not supported here (shards, BLAKE,
            symbolic links, a single file), or a subject digest that is not the files'.
    """
    fields = as_object(statement.predicate, "predicate", required=("serialization", "resources"))
    _check_serialization(fields["serialization"], "predicate.serialization")
    items = as_list(fields["resources"], "predicate.resources")
    if len(items) > LIMITS.manifest_files:
        raise FormatError(f"more than {LIMITS.manifest_files} files", "predicate.resources")
    manifest = Manifest(
        resources=tuple(
            _parse_resource(item, f"predicate.resources[{index}]")
            for index, item in enumerate(items)
        )
    )
    if len(statement.digests) != 1:
        raise FormatError(f"{len(statement.digests)} subjects, not one", "subject")
    if statement.digests[0] != manifest.subject_digest:
        raise VerificationError(
            "the subject is not the digest over the listed files",
            expected=manifest.subject_digest,
            found=statement.digests[0],
        )
    return manifest


def _check_serialization(value: object, path: str) -> None:
    fields = as_object(
        value,
        path,
        required=("method", "hash_type", "allow_symlinks"),
        optional=("ignore_paths", "shard_size"),
    )
    for index, item in enumerate(as_list(fields.get("ignore_paths", []), f"{path}.ignore_paths")):
        where = f"{path}.ignore_paths[{index}]"
        check_path(as_text(item, where), where)
        if not _GLOB.isdisjoint(item):
            raise FormatError("a pattern is no path", where)
    method, hash_type = fields["method"], fields["hash_type"]
    if method not in _METHODS:
        raise FormatError("an unknown method", f"{path}.method")
    if hash_type not in _HASHES:
        raise FormatError("an unknown hash", f"{path}.hash_type")
    if not isinstance(fields["allow_symlinks"], bool):
        raise FormatError("is not true or false", f"{path}.allow_symlinks")
    if method == "files" and "shard_size" in fields:
        raise FormatError("files have no shard size", f"{path}.shard_size")
    if (method, hash_type) != ("files", "sha256"):
        raise VerificationError(
            "not supported", expected="files by sha256", found=f"{method} by {hash_type}"
        )
    if fields["allow_symlinks"]:
        raise VerificationError("the signer allowed symbolic links, which hide what is read")


def _parse_resource(value: object, path: str) -> Resource:
    # A resource descriptor may carry fields that we do not know (in-toto, field types).
    extra = tuple(value) if isinstance(value, dict) else ()
    fields = as_object(value, path, required=("name", "algorithm", "digest"), optional=extra)
    name = as_text(fields["name"], f"{path}.name")
    if fields["algorithm"] != "sha256":
        raise FormatError("the algorithm is not sha256", f"{path}.algorithm")
    if name == ".":
        raise VerificationError("signed as a single file; here a model is always a folder")
    return Resource(name=name, sha256=as_text(fields["digest"], f"{path}.digest"))
