"""SHA-256 and Git's SHA-1 of a stream in one pass, each in a thread of its own.

Python's hashes let other threads run while they work. So a core hashes one way, another the other
way, and whoever receives the bytes goes on receiving. At most `QUEUED` chunks wait for each hash:
memory is flat, whatever comes. Small content is hashed on the spot, without threads.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from types import TracebackType

QUEUED = 4
SMALL = 2 * 2**20


class Hashing:
    """Several hashes of one stream: `with Hashing(a, b) as all: all.update(chunk)`.

    The hashes themselves are complete once the block has ended, or `finish` was called.
    """

    def __init__(self, *states: hashlib._Hash) -> None:
        self._states = states
        self._lines: list[queue.Queue[bytes | None]] = []
        self._threads: list[threading.Thread] = []
        self._seen = 0

    def __enter__(self) -> Hashing:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.finish()

    def update(self, chunk: bytes) -> None:
        """Take the next bytes; waits when the slowest hash is far behind."""
        self._seen += len(chunk)
        if not self._threads and self._seen <= SMALL:
            for state in self._states:
                state.update(chunk)
            return
        if not self._threads:
            self._start()
        for line in self._lines:
            line.put(chunk)

    def finish(self) -> None:
        """Wait until every hash has seen everything; harmless when called again."""
        for line in self._lines:
            line.put(None)
        for thread in self._threads:
            thread.join()
        self._lines, self._threads = [], []

    def _start(self) -> None:
        for state in self._states:
            line: queue.Queue[bytes | None] = queue.Queue(QUEUED)
            thread = threading.Thread(target=_run, args=(state, line), daemon=True)
            thread.start()
            self._lines.append(line)
            self._threads.append(thread)


def _run(state: hashlib._Hash, line: queue.Queue[bytes | None]) -> None:
    while (chunk := line.get()) is not None:
        state.update(chunk)
