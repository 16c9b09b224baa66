"""Tables of figures: on the screen, as Markdown, as JSON."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A table that can be printed and written; the first `words` columns are text."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1

    def rich(self) -> Table:
        """Return it for a terminal."""
        table = Table(title=self.title, title_justify="left")
        for number, column in enumerate(self.columns):
            table.add_column(column, justify="left" if number < self.words else "right")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """Return it for a document."""
        rule = ["---" if number < self.words else "---:" for number in range(len(self.columns))]
        lines = [self.columns, rule, *self.rows]
        table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        return f"**{self.title}**\n\n{table}\n"


@dataclass(slots=True, kw_only=True)
class Report(ABC):
    """What one run measured, where and by which command: a dataclass that tells its tables."""

    command: str
    machine: dict[str, str]

    def about(self, title: str = "Machine", *more: tuple[str, str]) -> Sheet:
        """Return the table of what every figure depends on."""
        rows = [("command", self.command), *self.machine.items(), *more]
        return Sheet(title=title, columns=("what", "is"), rows=rows, words=2)

    @abstractmethod
    def sheets(self) -> Iterator[Sheet]:
        """Yield the tables."""

    def save(self, path: Path) -> None:
        """Write the figures as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    def write(self, path: Path) -> None:
        """Write the tables as Markdown."""
        path.write_text("\n".join(sheet.markdown() for sheet in self.sheets()), encoding="utf-8")

    def show(self, console: Console) -> None:
        """Print the tables."""
        for sheet in self.sheets():
            console.print(sheet.rich())

    def hand_out(self, console: Console, options: Namespace) -> None:
        """Print the tables, and write them where `--json` and `--markdown` say."""
        self.show(console)
        if options.json:
            self.save(options.json)
        if options.markdown:
            self.write(options.markdown)
