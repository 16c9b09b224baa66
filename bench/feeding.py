"""Claims that arrive: intake with every check, and inclusion latency under a steady load.

As a program it is one feeder: `python -m bench.feeding KIND START COUNT BATCH RATE` prepares its
claims, says "ready", waits for its input to end, commits BATCH claims at a time, RATE claims a
second (0: as fast as it goes), and prints the instant and the number of claims of each commit.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.children import start
from bench.site import Site
from bench.watch import Watch

TICK_S = 0.01
Commit = tuple[float, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """Claims taken in with all checks, in commits of `batch`: intake alone, and until witnessed."""

    processes: int
    batch: int
    entries: int
    intake_s: float
    witnessed_s: float
    database: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """From the commit of a row to the witnessed checkpoint that covers it, in milliseconds."""

    claims: str
    wanted: int
    rate: float
    entries: int
    p50: float
    p99: float
    worst: float
    checkpoints: int
    files: float


def take_in(site: Site, entries: int, batch: int, processes: int) -> Intake:
    """Let feeders hand in signed claims as fast as they can while the real sequencer runs."""
    from bench.growing import database_bytes
    from ledger.logs import current_log

    at, each = current_log().size, entries // processes
    before = database_bytes()
    with site.sequencer(), Watch(site.data / "log" / "checkpoint", site.witness) as watch:
        starts = [at + number * each for number in range(processes)]
        begun, commits = _fed([("signed", start, each, batch, 0) for start in starts])
        ended = watch.wait(at + processes * each, patience_s=60 + entries / 100)
    return Intake(
        processes=processes,
        batch=batch,
        entries=processes * each,
        intake_s=commits[-1][0] - begun,
        witnessed_s=ended - begun,
        database=(database_bytes() - before) / (processes * each),
    )


def latency(site: Site, rate: int, seconds: int, claims: str) -> Latency:
    """Feed the running sequencer at a steady rate; match commits with checkpoints."""
    from ledger.logs import current_log

    at, batch = current_log().size, max(1, round(rate * TICK_S))
    before, _ = site.storage_bytes()
    with site.sequencer(), Watch(site.data / "log" / "checkpoint", site.witness) as watch:
        begun, commits = _fed([(claims, at, rate * seconds, batch, rate)])
        watch.wait(at + rate * seconds, patience_s=120)
        waits = _waits(watch, at, commits)
        steps = watch.steps(at)
    cuts = statistics.quantiles(waits, n=100)
    return Latency(
        claims=claims,
        wanted=rate,
        rate=rate * seconds / (commits[-1][0] - begun),
        entries=rate * seconds,
        p50=cuts[49],
        p99=cuts[98],
        worst=max(waits),
        checkpoints=steps,
        files=(site.storage_bytes()[0] - before) / (rate * seconds),
    )


def _waits(watch: Watch, at: int, commits: Sequence[Commit]) -> list[float]:
    """Return for each claim how long it waited, in milliseconds."""
    found: list[float] = []
    size = at
    for instant, count in commits:
        size += count
        found += [(watch.seen_at(size) - instant) * 1000] * count
    return found


def _fed(feeders: Sequence[tuple[str, int, int, int, int]]) -> tuple[float, list[Commit]]:
    """Run feeders side by side; return when they were let go, and their commits in order."""
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(
                start(
                    [sys.executable, "-m", "bench.feeding", *(str(part) for part in feeder)],
                    reads=True,
                )
            )
            for feeder in feeders
        ]
        for process in processes:
            if process.stdout is None or process.stdout.readline() != b"ready\n":
                raise SystemExit("a feeder did not start")
        begun = time.time()
        for process in processes:
            if process.stdin:
                process.stdin.close()
        lines = [line.split() for process in processes for line in process.stdout or ()]
        if any(process.wait() for process in processes):
            raise SystemExit("a feeder failed")
    return begun, sorted((float(instant), int(count)) for instant, count in lines)


def feed(kind: str, start: int, count: int, batch: int, rate: int) -> None:
    """Be one feeder (see the module's first lines)."""
    put, rows = _prepared(kind, start, count)
    print("ready", flush=True)
    sys.stdin.read()
    commits: list[Commit] = []
    begun = time.monotonic()
    for at in range(0, count, batch):
        if rate:
            # A late commit is not skipped: the next ones come at once until the rate is met again.
            time.sleep(max(0.0, begun + at / rate - time.monotonic()))
        put(rows[at : at + batch])
        commits.append((time.time(), len(rows[at : at + batch])))
    for instant, taken in commits:
        print(f"{instant:.6f} {taken}")


def _prepared(kind: str, start: int, count: int) -> tuple[Callable[[list[Any]], Any], list[Any]]:
    import django

    django.setup()
    from django.db import transaction

    from bench.claims import copy_in, shaped, signed
    from ledger import services as ledger

    if kind == "shaped":
        return transaction.atomic(copy_in), list(shaped(start, count))
    from ledger.errors import LogBusyError

    def append(part: list[Any]) -> None:
        # What a client does that is told to come back: the log bounds what waits for it.
        while True:
            with contextlib.suppress(LogBusyError), transaction.atomic():
                ledger.append_many(part)
                return
            time.sleep(TICK_S)

    return append, signed(start, count)


if __name__ == "__main__":
    feed(sys.argv[1], *(int(part) for part in sys.argv[2:]))
