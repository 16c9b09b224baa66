"""`assay inspect`: what a file is and what it says, decoded; nothing in it is verified."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from assay.cli.decode import DECODERS, decode
from assay.cli.decode.models import manifest_of
from assay.cli.files import read_file, read_folder
from assay.cli.output import Output, exit_codes
from assay.cli.verify import JsonOption
from assay.errors import MisuseError
from assay.fetch import fetch
from assay.limits import LIMITS

_ADDRESSES = ("http://", "https://")
_FETCHED = 64 * 2**20
_MANY = 20
FOLDER = "folder"


def _kinds(incomplete: str) -> list[str]:
    """Return the kinds that begin like this, for the shell."""
    return [name for name in DECODERS if name.startswith(incomplete)]


def inspect(
    artefact: Annotated[
        str, typer.Argument(help="A file, a model folder, an http(s) URL, or - to read it here.")
    ],
    *,
    type_: Annotated[
        str,
        typer.Option(
            "--type",
            help="What it is, where nothing tells: tile, entries, …",
            autocompletion=_kinds,
        ),
    ] = "",
    all_: Annotated[bool, typer.Option("--all", help="Print long lists to their end.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Decode any artefact. Exit code: 0 decoded, 1 malformed, 2 unknown kind, 3 not readable."""
    output = Output(as_json=as_json)
    with exit_codes(output):
        kind, content = _decode(artefact, type_)
        output.line(kind, style="bold")
        for line in lines(content, None if all_ else _MANY):
            output.line(line)
        output.note("Decoded, not verified: whoever made this may have written anything.")
        output.json(verdict="decoded", kind=kind, content=content)


def _decode(artefact: str, kind: str) -> tuple[str, dict[str, Any]]:
    if artefact == "-":
        return decode(sys.stdin.buffer.read(_FETCHED), kind)
    if artefact.startswith(_ADDRESSES):
        return decode(fetch(artefact, limit=_FETCHED), kind)
    path = Path(artefact)
    if not path.is_dir():
        return decode(read_file(path, LIMITS.tensor_bytes), kind)
    if kind:
        raise MisuseError(f"{path} is a folder: its kind is known")
    return FOLDER, manifest_of(read_folder(path))


def lines(value: Any, many: int | None, indent: int = 2) -> Iterator[str]:
    """Yield `value`, what JSON can carry, as indented lines; lists end after `many` items."""
    pad = " " * indent
    items = list(value.items()) if isinstance(value, dict) else [("-", item) for item in value]
    for name, item in items[:many]:
        if isinstance(item, dict | list) and item and not _is_short(item):
            inner = lines(item, many, indent + 2)
            # An item's first line stands beside its dash.
            yield f"{pad}- {next(inner).lstrip()}" if name == "-" else f"{pad}{name}"
            yield from inner
        else:
            text = _in_words(item).split("\n")
            yield f"{pad}{name}  {text[0]}"
            yield from (f"{pad}  {line}" for line in text[1:] if line)
    if many is not None and len(items) > many:
        yield f"{pad}… and {len(items) - many:,} more: --all prints them"


def _is_short(value: Any) -> bool:
    """Tell whether a list goes into one line: a shape, a few numbers."""
    plain = isinstance(value, list) and not any(isinstance(item, dict | list) for item in value)
    return plain and len(", ".join(map(str, value))) < 70


def _in_words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value in ([], {}):
        return "none"
    if isinstance(value, list):
        return f"[{', '.join(_in_words(item) for item in value)}]"
    return str(value)
