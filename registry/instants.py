"""Instants, and the numbers of lists, as people and programs write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from registry.errors import InvalidInputError

# RFC 3339, section 5.6; a leap second has no place in our clock.
_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
# What a browser's field sends: no zone, and the page says that it is taken for UTC.
_FIELD = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?", re.ASCII)


def read_instant(text: str, field: str, *, in_utc: bool = False) -> datetime:
    """Return the instant that `text` names in RFC 3339; `in_utc` also takes one without a zone.

    Raises:
        InvalidInputError: no such form, or no time of the calendar.
    """
    known = _RFC3339.fullmatch(text) or (in_utc and _FIELD.fullmatch(text))
    try:
        if not known:
            raise ValueError(text)
        found = datetime.fromisoformat(text.upper().replace(" ", "T"))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInputError(
            f"'{field}' is a time in RFC 3339, such as 2026-11-25T12:00:00Z (a '+' in an address "
            "is written %2B).",
            field=field,
            value=text[:80],
        ) from None


def read_number(cursor: str) -> int | None:
    """Return the number that a list goes on below; None for `""`, which is its beginning.

    Raises:
        InvalidInputError: a cursor that no list gave.
    """
    if not cursor:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 10):
        raise InvalidInputError("This cursor was not made here.", field="cursor")
    return int(cursor)
