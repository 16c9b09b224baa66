"""The vectors of the log, and the corpora of lies, read once.

`forged.json` and `accepted.json` are arrays with one object on each line; what a field means is in
the README beside them.
"""

from __future__ import annotations

import base64
import json
from functools import cache
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parent.parent / "vectors" / "log"

Row = dict[str, Any]


@cache
def _rows(name: str) -> tuple[Row, ...]:
    return tuple(json.loads((VECTORS / name).read_text(encoding="utf-8")))


@cache
def values() -> Row:
    """Return `vectors.json`."""
    loaded: Row = json.loads((VECTORS / "vectors.json").read_text(encoding="utf-8"))
    return loaded


def _chosen(name: str, areas: tuple[str, ...]) -> list[Row]:
    return [row for row in _rows(name) if not areas or row["area"] in areas]


def forged(*areas: str) -> list[Row]:
    """Return the rows that must be refused, of these areas (of all when none is named)."""
    return _chosen("forged.json", areas)


def accepted(*areas: str) -> list[Row]:
    """Return the rows that must be accepted, of these areas (of all when none is named)."""
    return _chosen("accepted.json", areas)


def as_bytes(value: str | dict[str, str]) -> bytes:
    """Return the bytes of a value that is a string (UTF-8) or `{"base64": …}`."""
    if isinstance(value, str):
        return value.encode("utf-8")
    return base64.b64decode(value["base64"], validate=True)


def artefact_bytes(row: Row) -> bytes:
    """Return the bytes under test."""
    return as_bytes(row["artefact"])


def vector(name: str) -> bytes:
    """Return a file of the vectors, whole."""
    return (VECTORS / name).read_bytes()
