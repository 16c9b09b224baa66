"""The rows of the registry's benchmark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.sheets import Report, Sheet

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
class Figures(Report):
    """All rows, the machine, and the command that made them."""

    size_mb: int
    rows: list[Row] = field(default_factory=list)

    def share(self, row: Row) -> str:
        """Return the speed of a row beside that of `sha256sum`."""
        reference = next((one.mb_s for one in self.rows if one.name == REFERENCE), 0.0)
        return f"{row.mb_s / reference:.0%}" if reference else "-"

    def sheets(self) -> Iterator[Sheet]:
        """Yield the tables."""
        yield self.about()
        yield Sheet(
            title=f"{self.size_mb:,} MB over loopback",
            columns=("way", "what", "s", "MB/s", "of sha256sum", "extra MB"),
            rows=[self._cells(row) for row in self.rows],
            words=2,
        )

    def _cells(self, row: Row) -> tuple[str, ...]:
        extra = "-" if row.extra_mb is None else f"{row.extra_mb:.0f}"
        speed = f"{row.mb_s:,.0f}"
        return row.name, row.note, f"{row.seconds:.1f}", speed, self.share(row), extra
