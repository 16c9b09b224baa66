"""The figures of inference as tables for people, as a page of the documents, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.inference_models import ARCHITECTURES
from bench.inference_parts import PRODUCT, Above, Memory, Queued, Served, Warm
from bench.inference_raw import Raw
from bench.sheets import Report, Sheet


@dataclass(slots=True, kw_only=True)
class Figures(Report):
    """Everything that one run measured; what was not asked for stays empty."""

    settings: dict[str, str]
    serving: list[Served] = field(default_factory=list)
    above: list[Above] = field(default_factory=list)
    raw: list[Raw] = field(default_factory=list)
    queued: list[Queued] = field(default_factory=list)
    warm: list[Warm] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)

    def sheets(self) -> Iterator[Sheet]:
        """Yield the tables that have rows."""
        yield self.about("Machine and settings", *self.settings.items())
        every = (
            self._served(),
            self._above(),
            self._runtimes(),
            self._queue(),
            self._costs(),
            self._warmed(),
            self._remembered(),
        )
        for sheet in every:
            if sheet.rows:
                yield sheet

    def _served(self) -> Sheet:
        columns = ("server", "clients", "answers/s", "to the fastest peer", "p50 ms", "p99 ms")
        return Sheet(
            title="The digits model over HTTP and JSON; Assay signs, stores and logs each answer",
            columns=(*columns, "refused", "client CPU"),
            rows=[
                (
                    *(one.server, str(one.clients), f"{one.rate:,.0f}", self._ratio(one)),
                    *(f"{one.p50:.2f}", f"{one.p99:.2f}", f"{one.refused:,}"),
                    f"{one.client:.0%}",
                )
                for one in self.serving
            ],
        )

    def _ratio(self, one: Served) -> str:
        others = [
            other.rate
            for other in self.serving
            if other.clients == one.clients and other.server != PRODUCT
        ]
        return f"{one.rate / max(others):.2f}" if others and one.server == PRODUCT else ""

    def _above(self) -> Sheet:
        return Sheet(
            title="One client: the median of an answer, and of a run in the portable runtime alone",
            columns=("model", "runtime ms", "answer ms", "above ms", "above"),
            rows=[
                (
                    ARCHITECTURES.get(one.model, one.model),
                    *(f"{one.raw_ms:.2f}", f"{one.served_ms:.2f}"),
                    f"{one.served_ms - one.raw_ms:.2f}",
                    # Beside a run of microseconds a share says nothing.
                    f"{one.served_ms / one.raw_ms - 1:.0%}" if one.raw_ms >= 1 else "",
                )
                for one in self.above
            ],
        )

    def _runtimes(self) -> Sheet:
        return Sheet(
            title="The two runtimes alone, one thread each: the median of a run",
            columns=("model", "portable ms", "native ms", "portable to native"),
            rows=[
                (
                    ARCHITECTURES.get(one.model, one.model),
                    *(f"{one.portable_ms:.2f}", f"{one.native_ms:.2f}"),
                    f"{one.portable_ms / one.native_ms:.1f}",
                )
                for one in self.raw
            ],
        )

    def _queue(self) -> Sheet:
        return Sheet(
            title="Queued, through Celery: from the first request to the last outcome",
            columns=("handed in", "executions", "executions/s", "handed in/s"),
            rows=[
                (
                    *(one.how, f"{one.executions:,}", f"{one.executions / one.all_s:,.0f}"),
                    f"{one.executions / one.handed_in_s:,.0f}",
                )
                for one in self.queued
            ],
        )

    def _costs(self) -> Sheet:
        names = list(self.queued[0].processor_us) if self.queued else []
        return Sheet(
            title="The same: processor time of each program for one execution, in µs",
            columns=("handed in", *names, "together"),
            rows=[
                (
                    one.how,
                    *(f"{one.processor_us[name]:,.0f}" for name in names),
                    f"{sum(one.processor_us.values()):,.0f}",
                )
                for one in self.queued
            ],
        )

    def _warmed(self) -> Sheet:
        return Sheet(
            title="Memory of one more warm model",
            columns=("model", "file MiB", "resident MiB"),
            rows=[
                (
                    ARCHITECTURES.get(one.model, one.model),
                    *(f"{one.file_mib:.1f}", f"{one.resident_mib:.0f}"),
                )
                for one in self.warm
            ],
        )

    def _remembered(self) -> Sheet:
        names = list(self.memory[0].programs) if self.memory else []
        return Sheet(
            title="Resident memory while requests for the digits model come, in MiB",
            columns=("requests so far", *names),
            rows=[
                (f"{one.requests:,}", *(f"{one.programs[name]:.0f}" for name in names))
                for one in self.memory
            ],
        )
