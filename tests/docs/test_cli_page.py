"""`docs/reference/cli.md` says what `assay --help` says: each command, each option, each word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from assay.cli import app

PAGE = (Path(__file__).parent.parent.parent / "docs/reference/cli.md").read_text(encoding="utf-8")


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    yield name, command
    for word, child in getattr(command, "commands", {}).items():
        yield from commands(child, f"{name} {word}")


COMMANDS = list(commands(typer.main.get_command(app), "assay"))[1:]


def section(name: str) -> str:
    """Return what the page says about one command, up to the next heading."""
    for heading in ("## ", "### "):
        for close in ("`", " "):
            found = PAGE.partition(f"\n{heading}`{name}{close}")[2]
            if found:
                return found.partition("\n#")[0]
    return ""


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_a_command_is_documented_in_the_words_of_its_help(name: str, command: Any) -> None:
    text = section(name)
    assert command.help in text
    for parameter in command.params:
        shown = parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.name.upper()
        row = next((line for line in text.splitlines() if line.startswith(f"| `{shown}` |")), "")
        assert parameter.help in row, f"{shown}: {parameter.help}"


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_the_page_has_no_option_that_the_command_lacks(name: str, command: Any) -> None:
    known = {option for parameter in command.params for option in parameter.opts}
    rows = [line for line in section(name).splitlines() if line.startswith("| `--")]
    assert [row for row in rows if row.split("`")[1] not in known] == []
