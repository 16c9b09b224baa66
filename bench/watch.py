"""When did which tree become visible? A thread that looks at the published checkpoint.

A reader could have had the checkpoint a moment earlier than it is noted here (the thread looks
every `EVERY_S`), never later, so no figure that rests on it flatters.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from pathlib import Path
from types import TracebackType

EVERY_S = 0.002


class Watch:
    """Note (size, instant) of each checkpoint at `path` that carries a line of `witness`.

    Instants are those of `time.time()`, which is one clock for all processes of a machine.
    """

    def __init__(self, path: Path, witness: str) -> None:
        self._path = path
        self._mark = f"\n— {witness} ".encode()
        self._sizes = [0]
        self._times = [time.time()]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch")

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def size(self) -> int:
        """Return the newest witnessed size."""
        return self._sizes[-1]

    def seen_at(self, size: int) -> float:
        """Return when a witnessed tree of at least `size` entries was first seen."""
        return self._times[bisect_left(self._sizes, size)]

    def steps(self, above: int) -> int:
        """Return how many checkpoints were seen whose tree is larger than `above`."""
        return sum(size > above for size in self._sizes)

    def wait(self, size: int, patience_s: float) -> float:
        """Wait for a witnessed tree of `size` entries; return when it was seen.

        Raises:
            TimeoutError: the log does not get there.
        """
        deadline = time.monotonic() + patience_s
        while self.size < size:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the log stays at {self.size} and should reach {size}")
            time.sleep(EVERY_S)
        return self.seen_at(size)

    def _look(self) -> None:
        last = (0, 0)
        while not self._stop.is_set():
            found = self._path.stat()
            now = (found.st_ino, found.st_mtime_ns)
            if now != last:
                last = now
                self._note(self._path.read_bytes())
            time.sleep(EVERY_S)

    def _note(self, note: bytes) -> None:
        if self._mark in note:
            size = int(note.split(b"\n", 2)[1])
            if size > self._sizes[-1]:
                self._times.append(time.time())
                self._sizes.append(size)
