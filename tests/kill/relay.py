"""Between the site and PostgreSQL: passes every byte on, and can lose the answer to a COMMIT.

Asked to, it waits for the next COMMIT of a transaction that wrote a ledger entry, lets it happen,
and cuts the client off in place of the answer.
"""

from __future__ import annotations

import asyncio
import re
import threading
from contextlib import suppress
from pathlib import Path

SOCKET = ".s.PGSQL.5432"
COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
WRITTEN = re.compile(rb'INTO "?ledger_entry"? ')
_CHUNK = 256 * 1024


class Relay:
    """A socket in the folder `near` for the PostgreSQL in the folder `far`."""

    def __init__(self, near: Path, far: Path) -> None:
        near.mkdir(mode=0o700, exist_ok=True)
        self._near, self._far = near / SOCKET, far / SOCKET
        self._loop = asyncio.new_event_loop()
        self._losing = 0
        self._lost = 0
        self._lock = threading.Lock()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(10)

    def lose(self, count: int) -> int:
        """Lose the answers to the next `count` COMMITs; return how many have been lost so far."""
        with self._lock:
            lost, self._losing, self._lost = self._lost, count, 0
            return lost

    def close(self) -> None:
        """Stop; every connection ends."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _serve(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_unix_server(self._converse, path=self._near, limit=_CHUNK)
        )
        ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _converse(self, here: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        try:
            there, on = await asyncio.open_unix_connection(self._far, limit=_CHUNK)
        except OSError:
            back.close()
            return
        cut = asyncio.Event()
        pumps = [
            asyncio.create_task(self._forth(here, on, cut)),
            asyncio.create_task(self._back(there, back, cut)),
        ]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        for writer in (on, back):
            writer.close()

    async def _forth(
        self, here: asyncio.StreamReader, on: asyncio.StreamWriter, cut: asyncio.Event
    ) -> None:
        wrote = False
        with suppress(OSError):
            while data := await here.read(_CHUNK):
                wrote = wrote or WRITTEN.search(data) is not None
                if data.endswith(COMMIT):
                    if wrote and self._take():
                        cut.set()
                    wrote = False
                on.write(data)
                await on.drain()

    async def _back(
        self, there: asyncio.StreamReader, back: asyncio.StreamWriter, cut: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while data := await there.read(_CHUNK):
                if cut.is_set():
                    return  # it has happened, and nobody hears of it
                back.write(data)
                await back.drain()

    def _take(self) -> bool:
        with self._lock:
            if not self._losing:
                return False
            self._losing -= 1
            self._lost += 1
            return True
