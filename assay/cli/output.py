"""Printing, and the exit codes: 0 verified, 1 refused, 2 usage, 3 could not check.

Texts from receipts and servers are a stranger's: control characters are replaced before they reach
the terminal, and rich reads no markup in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from assay.canonical import canonical_json
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


class Output:
    """What a command prints: lines for people, or one JSON object at the end."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.steps: list[Step] = []
        self.notes: list[str] = []
        self._console = Console(highlight=False, soft_wrap=True)
        self._errors = Console(highlight=False, soft_wrap=True, stderr=True)

    def line(self, text: str, style: str = "") -> None:
        """Print a line for people."""
        if not self.as_json:
            self._console.print(Text(plain(text), style=style))

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
            self._console.print(Text(canonical_json(whole).decode("utf-8")))

    def record(self, **values: Any) -> None:
        """Print one line of JSON, as commands do that tell while they go on."""
        if self.as_json:
            self._console.print(Text(canonical_json(values).decode("utf-8")))

    def alarm(self, text: str, *, style: str = "bold red") -> None:
        """Print a line for people who must not miss it, on the error stream."""
        if not self.as_json:
            self._errors.print(Text(plain(text), style=style))

    def failure(self, error: AssayError) -> int:
        """Print what went wrong and return the exit code of its family."""
        verdict, code = next(
            (verdict, code) for family, verdict, code in _FAMILIES if isinstance(error, family)
        )
        self.json(verdict=verdict, reason=_line(error))
        if not self.as_json:
            style = "bold yellow" if code == UNCHECKED else "bold red"
            self._errors.print(Text(f"{_WORDS[verdict]}: {_line(error)}", style=style))
        return code


@contextmanager
def exit_codes(output: Output) -> Iterator[None]:
    """Turn an error of ours into its message and exit code."""
    try:
        yield
    except AssayError as error:
        raise typer.Exit(output.failure(error)) from error
