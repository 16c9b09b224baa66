"""One form of pages for every list: `?limit=`, `?cursor=`, `{"items", "next"}` and `Link`.

A page is cut by keys, never by a count: what is added or taken away meanwhile moves no other line.
A cursor is opaque to its reader; here it is the key of the last line, and it is refused where it is
none of this list's. `rest.RestView` makes the `Link`.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Field, Model, Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from assay.canonical import encode_base64
from registry.errors import InvalidInputError

PAGE, MAX_PAGE = 50, 100
_CURSOR = re.compile(r"[A-Za-z0-9_-]{0,600}")
Line = TypeVar("Line")
Row = TypeVar("Row", bound=Model)
Shape = Callable[[Any], dict[str, Any]]


def read_limit(request: Request, usual: int = PAGE) -> int:
    """Return how many lines `?limit=` asks for.

    Raises:
        InvalidInputError: it is no number from 1 to `MAX_PAGE`.
    """
    value = request.query_params.get("limit", "")
    if not value:
        return usual
    if not (value.isascii() and value.isdecimal()) or not 1 <= int(value[:9]) <= MAX_PAGE:
        raise InvalidInputError(f"'limit' is 1 to {MAX_PAGE}.", field="limit")
    return int(value)


def answer(items: list[dict[str, Any]], following: str = "") -> Response:
    """Return the answer of a list; `following` is the cursor of the next page."""
    return Response({"items": items, "next": following})


def page_of(
    request: Request, lines: Sequence[Line], key: Callable[[Line], str], shape: Shape
) -> Response:
    """Answer a page of a list that is short enough to be in memory; `key` tells its lines apart.

    Raises:
        InvalidInputError: a limit that is none, or a cursor whose line is not here any more.
    """
    limit, after = read_limit(request), read_cursor(request)
    start = 0
    if after:
        keys = [key(line) for line in lines]
        if after not in keys:
            raise _bad_cursor()
        start = keys.index(after) + 1
    page = lines[start : start + limit]
    more = len(lines) > start + limit
    return answer([shape(line) for line in page], write_cursor(key(page[-1])) if more else "")


def page_rows(
    request: Request, rows: QuerySet[Row], fields: tuple[str, ...], shape: Shape
) -> Response:
    """Answer a page of `rows` ordered by `fields` of their own, as `order_by` spells them.

    The last field tells the rows apart. A page costs a page, wherever it is.

    Raises:
        InvalidInputError: a limit that is none, or a cursor that was not made here.
    """
    limit, after = read_limit(request), read_cursor(request)
    columns = [_column(rows, field) for field in fields]
    if after:
        rows = rows.filter(_beyond(fields, columns, after))
    found = list(rows.order_by(*fields)[: limit + 1])
    page = found[:limit]
    following = ""
    if len(found) > limit:
        last = page[-1]
        following = write_cursor("\n".join(column.value_to_string(last) for column in columns))
    return answer([shape(row) for row in page], following)


def _column(rows: QuerySet[Any], field: str) -> Field[Any, Any]:
    column = rows.query.get_meta().get_field(field.lstrip("-"))
    if not isinstance(column, Field):
        raise TypeError(f"{field} is no column of its own")
    return column


def _beyond(fields: tuple[str, ...], columns: list[Field[Any, Any]], cursor: str) -> Q:
    """Return the condition for rows after the one whose values `cursor` has."""
    texts = cursor.split("\n")
    if len(texts) != len(fields):
        raise _bad_cursor()
    beyond, same = Q(), Q()
    for field, column, text in zip(fields, columns, texts, strict=True):
        name = field.lstrip("-")
        try:
            value = column.to_python(text)
        except ValidationError:
            raise _bad_cursor() from None
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise _bad_cursor()
        beyond |= same & Q(**{f"{name}__{'lt' if field.startswith('-') else 'gt'}": value})
        same &= Q(**{name: value})
    return beyond


def write_cursor(key: str) -> str:
    """Return the cursor of a page that begins after the line with this key."""
    return encode_base64(key.encode()).translate(str.maketrans("+/", "-_")).rstrip("=")


def read_cursor(request: Request) -> str:
    """Return the key in `?cursor=`, "" for the beginning.

    Raises:
        InvalidInputError: it was not made by `write_cursor`.
    """
    text = request.query_params.get("cursor", "")
    if not _CURSOR.fullmatch(text):
        raise _bad_cursor()
    try:
        key = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)).decode()
    except (ValueError, Base64Error):
        raise _bad_cursor() from None
    if "\0" in key:
        raise _bad_cursor()
    return key


def _bad_cursor() -> InvalidInputError:
    return InvalidInputError(
        "This cursor was not made here, or its line is gone: begin anew.", field="cursor"
    )
