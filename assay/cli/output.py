"""Printing, and the exit codes: 0 verified, 1 refused, 2 usage, 3 could not check.

Texts from receipts and servers are a stranger's: control characters are replaced before they reach
the terminal, and nothing reads markup in them. Colours are for terminals only, and for none that
asks to be spared (`NO_COLOR`, `TERM=dumb`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from assay.canonical import canonical_json
from assay.cli.settings import wants_colours
from assay.errors import (
    AssayError,
    FormatError,
    MisuseError,
    SplitViewError,
    UnavailableError,
    VerificationError,
)
from assay.verify import Step

VERIFIED, REFUSED, USAGE, UNCHECKED = 0, 1, 2, 3
_MAX_LINE = 2_000
_SGR = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}  # ECMA-48, 8.3.117

_FAMILIES: tuple[tuple[type[AssayError], str, int], ...] = (
    (MisuseError, "usage", USAGE),
    (FormatError, "malformed", REFUSED),
    (SplitViewError, "split view", REFUSED),
    (VerificationError, "refused", REFUSED),
    (UnavailableError, "could not check", UNCHECKED),
)
_WORDS = {
    "usage": "Usage",
    "malformed": "Refused: not the format",
    "split view": "Refused: SPLIT VIEW",
    "refused": "Refused",
    "could not check": "Could not check",
}


def plain(text: str) -> str:
    """Return `text` with everything that a terminal would act on replaced."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _line(error: AssayError) -> str:
    """Return the error as one line that a terminal, and JSON, can carry."""
    text = plain(str(error))
    return text if len(text) <= _MAX_LINE else f"{text[:_MAX_LINE]}…"


def _print(text: str, style: str, stream: TextIO) -> None:
    """Print one line, in colour where a terminal wants it."""
    codes = ";".join(_SGR[word] for word in style.split() if word in _SGR)
    if codes and stream.isatty() and wants_colours():
        text = f"\x1b[{codes}m{text}\x1b[0m"
    stream.write(f"{text}\n")
    stream.flush()


class Output:
    """What a command prints: lines for people, or one JSON object at the end."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.steps: list[Step] = []
        self.notes: list[str] = []

    def line(self, text: str, style: str = "") -> None:
        """Print a line for people."""
        if not self.as_json:
            _print(plain(text), style, sys.stdout)

    def step(self, step: Step) -> None:
        """Record and print a step that passed, with the values that were compared."""
        self.steps.append(step)
        self.line(f"{step.number:>2}  {step.name}")
        self.line(f"      {step.detail}", style="dim")

    def note(self, text: str) -> None:
        """Say what was left out, in both forms: nobody may take a part for the whole."""
        self.notes.append(plain(text))
        self.line(text, style="yellow")

    def json(self, **values: Any) -> None:
        """Print the JSON object of the whole run, with the steps taken and what was left out."""
        if self.as_json:
            steps = [
                {"number": step.number, "name": step.name, "detail": step.detail}
                for step in self.steps
            ]
            whole = {**values, "notes": self.notes, "steps": steps}
            _print(canonical_json(whole).decode("utf-8"), "", sys.stdout)

    def record(self, **values: Any) -> None:
        """Print one line of JSON, as commands do that tell while they go on."""
        if self.as_json:
            _print(canonical_json(values).decode("utf-8"), "", sys.stdout)

    def alarm(self, text: str, *, style: str = "bold red") -> None:
        """Print a line for people who must not miss it, on the error stream."""
        if not self.as_json:
            _print(plain(text), style, sys.stderr)

    def failure(self, error: AssayError) -> int:
        """Print what went wrong and return the exit code of its family."""
        verdict, code = next(
            (verdict, code) for family, verdict, code in _FAMILIES if isinstance(error, family)
        )
        self.json(verdict=verdict, reason=_line(error))
        if not self.as_json:
            style = "bold yellow" if code == UNCHECKED else "bold red"
            _print(f"{_WORDS[verdict]}: {_line(error)}", style, sys.stderr)
        return code


@contextmanager
def exit_codes(output: Output) -> Iterator[None]:
    """Turn an error of ours into its message and exit code."""
    try:
        yield
    except AssayError as error:
        raise SystemExit(output.failure(error)) from error
