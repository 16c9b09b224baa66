"""The figures as tables for people, as a page of the documents, and as JSON for comparisons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.feeding import Intake, Latency
from bench.growing import Growth
from bench.serving import Served
from bench.sheets import Report, Sheet


@dataclass(slots=True, kw_only=True)
class Figures(Report):
    """Everything that one run measured; what was not asked for stays empty."""

    durability: dict[str, str]
    witness: str
    peer_rows: dict[int, float] = field(default_factory=dict)
    growth: list[Growth] = field(default_factory=list)
    small: list[Growth] = field(default_factory=list)
    intake: list[Intake] = field(default_factory=list)
    latency: list[Latency] = field(default_factory=list)
    serving: list[Served] = field(default_factory=list)

    def sheets(self) -> Iterator[Sheet]:
        """Yield the tables that have rows."""
        yield self.about()
        yield Sheet(
            title="Durability of every figure below",
            columns=("what", "is"),
            rows=self._synced(),
            words=2,
        )
        for sheet in (*self._growing(), self._taken(), self._waited(), self._served()):
            if sheet.rows:
                yield sheet

    def _synced(self) -> list[tuple[str, str]]:
        return [
            *((f"PostgreSQL {name}", value) for name, value in self.durability.items()),
            ("files of the log", "each tile, bundle and checkpoint, and their folders: fsync"),
            ("witness", f"{self.witness}, a process of its own; fsync before it answers"),
        ]

    def _growing(self) -> Iterator[Sheet]:
        columns = ("measured", "log", "entries/s", "µs/entry", "µs CPU", "checkpoints")
        yield Sheet(
            title="From pending rows to witnessed checkpoint (no check of signatures)",
            columns=(*columns, "files B/entry", "disk blocks B/entry", "database B/entry"),
            rows=[
                (
                    f"batches of {one.batch}" if one.batch else f"backlog of {one.entries:,}",
                    f"{one.size:,}",
                    *(f"{one.rate:,.0f}", f"{1e6 / one.rate:,.0f}"),
                    f"{one.sequencer_s / one.entries * 1e6:,.0f}",
                    f"{one.checkpoints:,}",
                    *(f"{value:,.0f}" for value in (one.files, one.blocks, one.database)),
                )
                for one in (*self.growth, *self.small)
            ],
        )
        best = max((one.rate for one in self.growth), default=0.0)
        yield Sheet(
            title="The peer: INSERT … RETURNING of the same rows into a table like the entries'",
            columns=("rows in a commit", "rows/s", "µs/row", "what the log does of that"),
            rows=[
                (f"{batch:,}", f"{rate:,.0f}", f"{1e6 / rate:,.0f}", f"{best / rate:.2f}")
                for batch, rate in self.peer_rows.items()
            ],
        )

    def _taken(self) -> Sheet:
        columns = ("processes", "in a commit", "entries", "intake/s", "witnessed/s", "µs/entry")
        return Sheet(
            title="Intake with every check (signature, statement, claim), sequencer running",
            columns=(*columns, "database B/entry"),
            rows=[
                (
                    *(f"{value:,}" for value in (one.processes, one.batch, one.entries)),
                    f"{one.entries / one.intake_s:,.0f}",
                    f"{one.entries / one.witnessed_s:,.0f}",
                    f"{one.witnessed_s / one.entries * 1e6:,.0f}",
                    f"{one.database:,.0f}",
                )
                for one in self.intake
            ],
        )

    def _waited(self) -> Sheet:
        columns = ("claims", "rate wanted", "rate met", "entries", "p50", "p99", "worst")
        return Sheet(
            title="Inclusion latency: commit of a row to the witnessed checkpoint over it, in ms",
            columns=(*columns, "checkpoints", "files B/entry"),
            rows=[
                (
                    one.claims,
                    *(f"{value:,.0f}" for value in (one.wanted, one.rate, one.entries)),
                    *(f"{value:,.0f}" for value in (one.p50, one.p99, one.worst)),
                    *(f"{one.checkpoints:,}", f"{one.files:,.0f}"),
                )
                for one in self.latency
            ],
        )

    def _served(self) -> Sheet:
        columns = ("what", "server", "answers/s", "MB/s", "p50 ms", "p99 ms", "client CPU")
        return Sheet(
            title="Serving over loopback, 16 kept connections, the client on the same cores",
            columns=(*columns, "to the peer"),
            rows=[
                (
                    *(one.what, one.server, f"{one.rate:,.0f}", f"{one.megabytes:,.1f}"),
                    *(f"{one.p50:.2f}", f"{one.p99:.2f}", f"{one.client:.0%}"),
                    self._ratio(one),
                )
                for one in self.serving
            ],
            words=2,
        )

    def _ratio(self, one: Served) -> str:
        others = [other for other in self.serving if other.what == one.what and other is not one]
        return f"{one.rate / others[0].rate:.2f}" if others else ""
