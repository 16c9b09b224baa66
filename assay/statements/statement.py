"""In-toto Statement v1, strict.

Signed bytes need not be canonical (model_signing indents them), but they have one meaning: no key
twice, no field that in-toto does not have, digests in lower case. A subject may carry every field
of a resource descriptor; what counts is its SHA-256.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from assay.canonical import (
    as_list,
    as_object,
    as_text,
    canonical_json,
    decode_base64,
    parse_json,
)
from assay.digests import parse_hex
from assay.errors import FormatError, VerificationError
from assay.limits import LIMITS

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_STATEMENT = ("_type", "subject", "predicateType", "predicate")
_TEXTS = ("name", "uri", "downloadLocation", "mediaType")
_SUBJECT = (*_TEXTS, "content", "annotations")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a statement is about: a name (may be empty) and the hex SHA-256 of the bytes.

    `sha256` is `""` for a subject of someone else's statement that names other digests only; such
    a subject matches nothing.
    """

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement: at least one subject, a predicate type, and the predicate, a JSON object."""

    subjects: tuple[Subject, ...]
    predicate_type: str
    predicate: dict[str, Any]

    @property
    def digests(self) -> tuple[str, ...]:
        """The hex SHA-256 of each subject."""
        return tuple(subject.sha256 for subject in self.subjects)


def render(statement: Statement) -> bytes:
    """Return the RFC 8785 form of `statement`: the payload to sign.

    Raises:
        FormatError: no subject, a subject without a SHA-256, or a value JSON cannot carry.
    """
    subjects = []
    for index, subject in enumerate(statement.subjects):
        parse_hex(subject.sha256, f"subject[{index}].digest.sha256")
        subjects.append(_render_subject(subject))
    if not subjects:
        raise FormatError("a statement has a subject", "subject")
    return canonical_json(
        {
            "_type": STATEMENT_TYPE,
            "subject": subjects,
            "predicateType": statement.predicate_type,
            "predicate": statement.predicate,
        }
    )


def _render_subject(subject: Subject) -> dict[str, Any]:
    named = {"name": subject.name} if subject.name else {}
    return {**named, "digest": {"sha256": subject.sha256}}


def parse_statement(payload: bytes) -> Statement:
    """Read the payload of an envelope.

    Raises:
        FormatError: not a statement in strict JSON.
        VerificationError: a statement of another version (`_type`).
    """
    value = parse_json(payload, max_bytes=LIMITS.statement, path="statement")
    fields = as_object(value, "statement", required=_STATEMENT)
    kind = as_text(fields["_type"], "_type")
    items = as_list(fields["subject"], "subject")
    if not items:
        raise FormatError("a statement has a subject", "subject")
    predicate_type = as_text(fields["predicateType"], "predicateType")
    if not predicate_type:
        raise FormatError("is empty", "predicateType")
    if not isinstance(fields["predicate"], dict):
        raise FormatError("is not an object", "predicate")
    statement = Statement(
        subjects=tuple(_parse_subject(item, f"subject[{i}]") for i, item in enumerate(items)),
        predicate_type=predicate_type,
        predicate=fields["predicate"],
    )
    if kind != STATEMENT_TYPE:
        raise VerificationError("another statement type", expected=STATEMENT_TYPE, found=kind)
    return statement


def _parse_subject(value: object, path: str) -> Subject:
    fields = as_object(value, path, required=("digest",), optional=_SUBJECT)
    for name in _TEXTS:
        as_text(fields.get(name, ""), f"{path}.{name}")
    decode_base64(fields.get("content", ""), f"{path}.content")
    if not isinstance(fields.get("annotations", {}), dict):
        raise FormatError("is not an object", f"{path}.annotations")
    digests = fields["digest"]
    if not isinstance(digests, dict) or not digests:
        raise FormatError("is not an object with a digest", f"{path}.digest")
    for algorithm, digest in digests.items():
        where = f"{path}.digest.{algorithm}"
        if not as_text(digest, where):
            raise FormatError("is empty", where)
    if "sha256" in digests:
        parse_hex(digests["sha256"], f"{path}.digest.sha256")
    return Subject(name=fields.get("name", ""), sha256=digests.get("sha256", ""))
