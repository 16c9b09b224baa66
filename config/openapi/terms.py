"""The words in which the tables beside this module describe operations.

A schema is what JSON Schema (2020-12, as OpenAPI 3.1 has it) says, made by the functions here. An
`Op` says of one method of one view what the view's own code does not tell by itself: its name, what
it answers, and which of the error codes are its own. All else is read from the view, by
`config.openapi.schema`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.db.models import TextChoices
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

Schema = dict[str, Any]
JSON = "application/json"
BYTES = "application/octet-stream"

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
TIME: Schema = {"type": "string", "format": "date-time", "description": "RFC 3339, in UTC."}
ID: Schema = {"type": "string", "format": "uuid"}
SHA256: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
COMMIT: Schema = {"type": "string", "pattern": "^[0-9a-f]{40}$", "description": "A revision's id."}
BASE64: Schema = {"type": "string", "contentEncoding": "base64"}
OBJECT: Schema = {"type": "object", "additionalProperties": True}
ANY: Schema = {}


def described(schema: Schema, words: str) -> Schema:
    """Return `schema` with a description of its own."""
    return {**schema, "description": words}


def maybe(schema: Schema) -> Schema:
    """Return the schema of a value that may be null."""
    return {"anyOf": [schema, {"type": "null"}]}


def many(schema: Schema, **limits: int) -> Schema:
    """Return the schema of an array."""
    return {"type": "array", "items": schema, **limits}


def one_of(choices: type[TextChoices] | tuple[str, ...]) -> Schema:
    """Return the schema of a word from a closed list."""
    values = choices if isinstance(choices, tuple) else tuple(choices.values)
    return {"type": "string", "enum": list(values)}


def mapping(schema: Schema) -> Schema:
    """Return the schema of an object whose keys are not known beforehand."""
    return {"type": "object", "additionalProperties": schema}


def part(name: str) -> Schema:
    """Return a reference to a schema with a name."""
    return {"$ref": f"#/components/schemas/{name}"}


def shape(words: str = "", optional: tuple[str, ...] = (), /, **fields: Schema) -> Schema:
    """Return the schema of an object with these fields, all of them there but the `optional`."""
    made: Schema = {
        "type": "object",
        "properties": fields,
        "required": [name for name in fields if name not in optional],
    }
    return described(made, words) if words else made


def more(base: Schema, words: str = "", /, **fields: Schema) -> Schema:
    """Return the shape `base` with further fields."""
    return shape(
        words or base.get("description", ""),
        tuple(set(base["properties"]) - set(base["required"])),
        **{**base["properties"], **fields},
    )


def pages(item: Schema, **fields: Schema) -> Schema:
    """Return the schema of a list's page."""
    following = described(TEXT, "The cursor of the next page, empty at the end.")
    return shape(items=many(item), next=following, **fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """A parameter in the query or a header."""

    name: str
    words: str
    schema: Schema
    place: str = "query"
    required: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return it as the document has it."""
        return {
            "name": self.name,
            "in": self.place,
            "description": self.words,
            "schema": self.schema,
            **({"required": True} if self.required else {}),
        }


def asked(name: str, words: str, schema: Schema = TEXT, *, required: bool = False) -> Param:
    """Return a parameter of the query."""
    return Param(name=name, words=words, schema=schema, required=required)


def header(name: str, words: str, *, required: bool = False) -> Param:
    """Return a parameter in a header."""
    return Param(name=name, words=words, schema=TEXT, place="header", required=required)


CURSOR = asked("cursor", "`next` of the page before.")
LIMIT = asked("limit", "How many lines.", {"type": "integer", "minimum": 1, "maximum": 100})
PAGED = (LIMIT, CURSOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """One method of one view."""

    id: str
    summary: str
    answers: Mapping[int, Schema | None]
    body: type[Serializer[Any]] | Schema | None = None
    asked: tuple[Param, ...] | type[Serializer[Any]] = ()
    codes: tuple[str, ...] = ()
    sends: str = JSON  # the media type of the body
    gives: str = JSON  # and of the answer
    optional: bool = False  # whether the body may be left out
    raw: bool = False  # bytes that bring their own headers: no `ETag` of ours


Answers = Schema | Mapping[int, Schema | None] | None


def op(name: str, summary: str, answers: Answers = None, /, codes: str = "", **known: Any) -> Op:
    """Return an `Op`; a schema alone is what 200 answers, and None alone is 204 without a body."""
    if answers is None:
        found: Mapping[int, Schema | None] = {HTTPStatus.NO_CONTENT: None}
    elif all(isinstance(key, int) for key in answers) and answers:
        found = answers  # type: ignore[assignment]  # no schema has a number as a key
    else:
        found = {HTTPStatus.OK: answers}  # type: ignore[dict-item]  # a schema, by the same
    return Op(id=name, summary=summary, answers=found, codes=tuple(codes.split()), **known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """Operations that belong together: the tag, what it says, and the methods of each view."""

    name: str
    words: str
    views: Mapping[type[APIView], Mapping[str, Op]]
