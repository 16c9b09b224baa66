"""How one field of a predicate is read, and the machinery that reads a whole one.

A value class declares each field with the function that reads it:

    tree_size: int = field(metadata=read(size))

`Wire.from_dict` and `Wire.to_dict` do the rest: the JSON name is the field's name in camel case,
every field is required, unknown ones are refused, and an error carries the path.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

from assay.canonical import as_object, as_text
from assay.digests import check_hex
from assay.errors import FormatError, MisuseError

Reader = Callable[[object, str], Any]

_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z", re.ASCII)
_REVISION = re.compile(r"[0-9a-f]{40}")
_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_MODEL = re.compile(rf"{_NAME}/{_NAME}")
_TEXT_LIMIT = 16_384
MAX_SAFE_INTEGER = 2**53 - 1


def timestamp(instant: datetime) -> str:
    """Return `instant` as RFC 3339 in UTC with milliseconds: `2026-01-01T00:00:00.000Z`.

    Raises:
        MisuseError: the instant has no time zone.
    """
    if instant.tzinfo is None:
        raise MisuseError("an instant without a time zone is no instant")
    text = instant.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def read(reader: Reader, *, name: str = "") -> dict[str, Any]:
    """Return the metadata of a field that `reader` reads; `name` where JSON has another one."""
    return {"reader": reader, "name": name}


class Wire:
    """A value with a JSON object form; the subclasses are frozen dataclasses."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    @classmethod
    def from_dict(cls, value: object, path: str = "") -> Self:
        """Read the JSON object `value`.

        Raises:
            FormatError: a field is missing, unknown or wrong; its `path` says which.
        """
        names = _fields_of(cls)
        fields = as_object(value, path, required=names)
        prefix = f"{path}." if path else ""
        return cls(
            **{
                attribute: reader(fields[name], f"{prefix}{name}")
                for name, (attribute, reader) in names.items()
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            name: _dump(getattr(self, attribute))
            for name, (attribute, _) in _fields_of(type(self)).items()
        }


_FIELDS: dict[type, dict[str, tuple[str, Reader]]] = {}


def _fields_of(kind: type) -> dict[str, tuple[str, Reader]]:
    """Return attribute and reader of a value class's fields by JSON name, worked out once."""
    found = _FIELDS.get(kind)
    if found is None:
        found = _FIELDS[kind] = {
            _json_name(item): (item.name, item.metadata["reader"])
            for item in dataclasses.fields(kind)
        }
    return found


def _json_name(item: dataclasses.Field[Any]) -> str:
    first, *rest = item.name.split("_")
    return item.metadata["name"] or first + "".join(part.capitalize() for part in rest)


def _dump(value: object) -> Any:
    return value.to_dict() if isinstance(value, Wire) else value


def text(value: object, path: str) -> str:
    """Read a text of 1 to 16384 characters."""
    result = as_text(value, path)
    if not 0 < len(result) <= _TEXT_LIMIT:
        raise FormatError(f"is not a text of 1 to {_TEXT_LIMIT} characters", path)
    return result


def digest(value: object, path: str) -> str:
    """Read 64 lower-case hex digits."""
    return check_hex(value, path)


def size(value: object, path: str) -> int:
    """Read an integer from 0 to 2^53 - 1."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise FormatError("is not an integer", path)
    if not 0 <= value <= MAX_SAFE_INTEGER:
        raise FormatError("is not from 0 to 2^53 - 1", path)
    return value


def json_object(value: object, path: str) -> dict[str, Any]:
    """Read any JSON object."""
    if not isinstance(value, dict):
        raise FormatError("is not an object", path)
    return value


def one_of(*choices: str) -> Reader:
    """Return a reader of one of `choices`."""

    def reader(value: object, path: str) -> str:
        result = as_text(value, path)
        if result not in choices:
            raise FormatError(f"is none of {', '.join(choices)}", path)
        return result

    return reader


def nullable(reader: Reader) -> Reader:
    """Return a reader of null, or of what `reader` reads."""
    return lambda value, path: None if value is None else reader(value, path)


def _matching(pattern: re.Pattern[str], what: str) -> Reader:
    def reader(value: object, path: str) -> str:
        result = as_text(value, path)
        if pattern.fullmatch(result) is None:
            raise FormatError(f"is not {what}", path)
        return result

    return reader


revision = _matching(_REVISION, "a revision (40 hex digits)")
uuid7 = _matching(_UUID7, "a UUID of version 7")
_time_form = _matching(_TIME, "a time in UTC with milliseconds")
_model_form = _matching(_MODEL, "a model id (owner/name)")


def model(value: object, path: str) -> str:
    """Read a model id: `owner/name`, each as the Hugging Face Hub spells one."""
    result: str = _model_form(value, path)
    if "--" in result or ".." in result or any(p.endswith(".git") for p in result.split("/")):
        raise FormatError("is not a model id (owner/name)", path)
    return result


def time(value: object, path: str) -> str:
    """Read a time that exists: `2026-01-01T00:00:00.000Z`."""
    result: str = _time_form(value, path)
    try:
        datetime.fromisoformat(result)
    except ValueError as error:
        raise FormatError("is no time of the calendar", path) from error
    return result
