"""What a statement says, in one line for a list. Strangers' statements may lack any field."""

from __future__ import annotations

from assay.errors import AssayError
from assay.statements import parse_statement
from ledger.choices import Kind
from ledger.models import Entry

_FIELDS = {
    Kind.RELEASE: ("model", "version"),
    Kind.CARD: ("model",),
    Kind.ALIAS: ("model", "alias"),
    Kind.EXECUTION: ("model", "execution"),
    Kind.REPLAY: ("verdict", "execution"),
    Kind.KEY: ("action", "role", "owner"),
    Kind.MODERATION: ("action", "category"),
}


def summary(entry: Entry) -> str:
    """Return what the entry's statement is about, in a few words."""
    try:
        statement = parse_statement(bytes(entry.payload.payload))
    except AssayError:
        return ""
    fields = (statement.predicate.get(name) for name in _FIELDS.get(Kind(entry.kind), ()))
    words = [value for value in fields if isinstance(value, str)]
    return " ".join(words) or statement.subjects[0].name
