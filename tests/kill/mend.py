"""Moving time: nobody waits here for half a minute until a dead process's lease is over.

While it mends, a lease that has stood still for some seconds is over, a back-off too, and the
sweeper is called. A lease that somebody alive holds may be hit as well: that is one more fault,
which the fence of the finishing transaction must stand.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from tests.kill.site import Site

STILL_S = 1.5  # far longer than any run here
MOST = 2  # an execution has three attempts, and the last one is left alone
EVERY_S = 0.25
RUNNING = "SELECT id, lease FROM inference_execution WHERE state = 'running'"
OVER = """
    UPDATE inference_execution SET lease_until = clock_timestamp() - interval '1 s'
    WHERE id = %s AND lease = %s AND state = 'running' AND lease_until > clock_timestamp()
    RETURNING id"""
DUE = """
    UPDATE inference_execution SET available_at = clock_timestamp() - interval '6 s'
    WHERE state = 'queued' AND available_at > clock_timestamp() - interval '6 s'
    AND created_at < clock_timestamp() - interval '1 s'"""
WAITING = """
    SELECT id FROM inference_execution
    WHERE state = 'queued' AND created_at < clock_timestamp() - interval '1 s'"""
UNQUIET = (
    "SELECT id::text FROM inference_execution WHERE state IN ('queued', 'running')",
    "SELECT id::text FROM ledger_entry WHERE index IS NULL",
)


@contextmanager
def mending(site: Site, most: int = MOST) -> Iterator[None]:
    """Mend for the length of a block; at most `most` leases of an execution are over early."""
    done = threading.Event()
    thread = threading.Thread(target=_mend, args=(site, done, most))
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _mend(site: Site, done: threading.Event, most: int) -> None:
    since: dict[object, float] = {}
    moved: Counter[object] = Counter()
    while not done.wait(EVERY_S):
        now = time.monotonic()
        held = site.rows(RUNNING)
        since = {lease: since.get(lease, now) for _, lease in held}
        for execution, lease in held:
            if now - since[lease] > STILL_S and moved[execution] < most:
                moved[execution] += len(site.rows(OVER, execution, lease))
        site.rows(DUE)
        if site.rows(WAITING) or any(moved[execution] for execution, _ in held):
            site.send("sweep", "housekeeping")


def wait_quiet(site: Site) -> None:
    """Wait until nothing is under way and everybody is there."""
    site.until(site.whole, "everything runs again")
    site.until(lambda: not any(site.rows(query) for query in UNQUIET), "all is quiet")
