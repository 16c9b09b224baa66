"""The executor's constants: what a model process may use, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 2**20
PAGE_BYTES = 2**16  # of WebAssembly
MAX_PAGES = 2**16
LOAD_MEMORY = 2**30
NATIVE_MEMORY = LOAD_MEMORY + 3 * 512 * MIB  # address space, for the largest model taken
THREAD_BYTES = 64 * MIB  # what a worker thread costs beside its model
GRACE_S = 0.5  # between the end of the thread and the end of the process
BOOT_S = 20.0
SLOT_WAIT_S = 2.0
WAITING_PER_SLOT = 16
BACKOFF_S, MAX_BACKOFF_S = 0.1, 30.0
DEATHS, DEATHS_WINDOW_S = 3, 600.0
REFUSED_S = 60.0  # a model that did not load is refused without a new try for so long
BLAME_S = 5.0  # who gives a model less time may not have it quarantined for being late
LOOK_S = 0.25  # how often a waiting request looks whether its caller is still there
RECYCLE_RUNS = 1_000
RECYCLE_BYTES = 512 * MIB  # beyond what a model takes when it is fresh: it, and its process
MEASURE_RUNS = 32  # the memory of a process is looked at once in so many runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the command line may change: seconds, bytes of all loaded models of one runtime.

    After `recycle_runs` runs a model is started afresh.
    """

    load_s: float = 40.0
    load_cpu_s: int = 20
    trial_s: float = 20.0
    memory_bytes: int = 2**30
    recycle_runs: int = RECYCLE_RUNS


def pages_for(model_bytes: int) -> int:
    """Return the cap of a model's WebAssembly memory in pages: 1 GiB and 3 times its bytes."""
    return min(MAX_PAGES, -(-(LOAD_MEMORY + 3 * model_bytes) // PAGE_BYTES))
