"""The commands of `assay.cli.COMMANDS` as one application of typer, each imported at its call.

Example: `assay verify` imports `assay.cli.verify`, and nothing of the other commands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from assay.cli import COMMANDS


class _Table(Mapping[str, Any]):
    """The commands by name, made at first use.

    Typer's own commands are no public type, so they are `Any` here.
    """

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _made(name, COMMANDS[name])
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


def _made(name: str, place: str) -> Any:
    module, _, attribute = place.partition(":")
    found = getattr(import_module(module), attribute)
    command: Any
    if isinstance(found, typer.Typer):
        command = get_group(found)
    else:
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command()(found)
        command = get_command(alone)
    command.name = name
    return command


class LazyGroup(TyperGroup):
    """A group whose commands are those of the table."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        table: Any = _Table()
        self.commands = table


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def _assay() -> None:
    """Check the answers of machine-learning models."""
