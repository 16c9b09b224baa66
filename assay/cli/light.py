"""The command line of `assay verify` without typer, whose import takes longer than the check.

Only what is plainly right is read: one receipt, options of the table below, each with its value.
Anything else, `--help` and mistakes included, is None, and typer reads the line and says what is
wrong with it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from assay.cli.checking import Question, check

FLAGS = {"--offline": "offline", "--json": "as_json"}
# Each option's field of `Question`, and the type that its text is turned into.
VALUES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "--key": ("key", Path),
    "--trusted-root": ("trusted_root", Path),
    "--policy": ("policy", Path),
    "--registration": ("registration", str),
    "--checkpoint": ("checkpoint", str),
    "--max-age": ("max_age", str),
    "--blob": ("blob", Path),
    "--input": ("input_", Path),
    "--type": ("type_", str),
    "--output-salt": ("output_salt", str),
    "--input-salt": ("input_salt", str),
}


def answer(arguments: Sequence[str]) -> None:
    """Answer `assay verify` with these arguments and end the process; return if typer has to.

    Ends as typer does where a reader goes away or interrupts: exit code 1, and 130.
    """
    question = read_line(arguments)
    if question is None:
        return
    try:
        check(question)
    except BrokenPipeError:
        sys.stdout = None  # or the interpreter tries again at its end
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    raise SystemExit(0)


def read_line(arguments: Sequence[str]) -> Question | None:
    """Return what `assay verify` with these `arguments` asks, None where typer has to read them."""
    fields: dict[str, Any] = {}
    rest = iter(arguments)
    for word in rest:
        name, value = _read_word(word, rest)
        if value is None or name in fields:
            return None
        fields[name] = value
    return Question(**fields) if "receipt" in fields else None


def _read_word(word: str, rest: Iterator[str]) -> tuple[str, Any]:
    """Return a field and its value; None for what is not plainly right."""
    if word in FLAGS:
        return FLAGS[word], True
    option, equals, text = word.partition("=")
    if option in VALUES:
        name, kind = VALUES[option]
        found = text if equals else next(rest, None)
        return name, None if found is None else kind(found)
    return "receipt", None if word.startswith("-") or not word else word
