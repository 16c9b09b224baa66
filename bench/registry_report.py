"""The rows of the registry's benchmark, as a table, as JSON and as Markdown."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from assay.canonical import canonical_json

REFERENCE = "sha256sum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way through: seconds for all bytes, and what the web processes took beside before.

    `extra_mb` is the most memory that one web process had at any moment, less what it had before.
    """

    name: str
    seconds: float
    mb_s: float
    extra_mb: float | None = None
    note: str = ""


@dataclass(slots=True, kw_only=True)
class Figures:
    """All rows, the machine, and the command that made them."""

    machine: dict[str, str]
    size_mb: int
    command: str
    rows: list[Row] = field(default_factory=list)

    def share(self, row: Row) -> str:
        """Return the speed of a row beside that of `sha256sum`."""
        reference = next((one.mb_s for one in self.rows if one.name == REFERENCE), 0.0)
        return f"{row.mb_s / reference:.0%}" if reference else "-"

    def _cells(self, row: Row) -> tuple[str, ...]:
        extra = "-" if row.extra_mb is None else f"{row.extra_mb:.0f}"
        speed = f"{row.mb_s:,.0f}"
        return row.name, f"{row.seconds:.1f}", speed, self.share(row), extra, row.note

    def show(self, console: Console) -> None:
        """Print the table."""
        table = Table(title=f"{self.size_mb} MB over loopback")
        for name in _HEADS:
            table.add_column(name, justify="left" if name in ("way", "what") else "right")
        for row in self.rows:
            table.add_row(*self._cells(row))
        console.print(table)
        for name, value in self.machine.items():
            console.print(f"{name}: {value}")

    def save(self, path: Path) -> None:
        """Write JSON."""
        rows = [
            {
                key: round(value, 3) if isinstance(value, float) else value
                for key, value in asdict(row).items()
            }
            for row in self.rows
        ]
        found = {
            "command": self.command,
            "machine": self.machine,
            "rows": rows,
            "size_mb": self.size_mb,
        }
        path.write_bytes(canonical_json(found) + b"\n")

    def write(self, path: Path) -> None:
        """Write the table in Markdown."""
        lines = [f"| {' | '.join(_HEADS)} |", "|---|---:|---:|---:|---:|---|"]
        lines += [f"| {' | '.join(self._cells(row))} |" for row in self.rows]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


_HEADS = ("way", "s", "MB/s", "of sha256sum", "extra MB", "what")
