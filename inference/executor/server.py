"""The socket: accepts, reads frames with their limits, hands them on, ends in order."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from socket import SHUT_RDWR, socket

from inference.executor.blobs import Pinned
from inference.executor.protocol import (
    CallerGoneError,
    ConnectionEndedError,
    Frame,
    ProtocolError,
    RefusalError,
    Stream,
    listen,
    send,
)
from inference.executor.service import TAILS, Service, Session

DRAIN_S = 5.0
_log = logging.getLogger(__name__)


class Server:
    """A listening socket and a thread for each connection."""

    def __init__(self, path: Path, service: Service) -> None:
        self._path = path
        self._service = service
        self._socket = listen(path)
        self._inode = path.stat().st_ino
        self._lock = threading.Lock()
        self._connections: set[socket] = set()
        self._running = 0
        self._idle = threading.Condition(self._lock)

    def serve(self) -> None:
        """Accept connections until `close`."""
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def close(self) -> None:
        """Stop accepting, let running requests finish for 5 s, remove the socket."""
        self._socket.shutdown(SHUT_RDWR)  # wakes accept(), which close() alone does not
        self._socket.close()
        # Another supervisor may have taken the place meanwhile: its socket stays.
        if self._path.exists() and self._path.stat().st_ino == self._inode:
            self._path.unlink()
        until = time.monotonic() + DRAIN_S
        with self._idle:
            while self._running and time.monotonic() < until:
                self._idle.wait(until - time.monotonic())
            for connection in self._connections:
                connection.close()

    def _serve(self, connection: socket) -> None:
        with self._lock:
            self._connections.add(connection)
        try:
            self._converse(connection)
        except ConnectionEndedError:
            pass
        except CallerGoneError:
            _log.info("a caller went away during its request")
        except ProtocolError as error:
            _log.warning("a connection was closed: %s", error)
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()

    def _converse(self, connection: socket) -> None:
        stream = Stream(connection)
        session = Session(connection=connection, blobs=Pinned(self._service.blobs))
        while True:
            header, length = stream.header()
            limit = TAILS.get(str(header.get("op")), 0)
            request = Frame(header=header, tail=stream.tail(length, limit))
            self._enter(1)
            try:
                send(connection, self._answer(request, session))
            finally:
                self._enter(-1)

    def _answer(self, request: Frame, session: Session) -> Frame:
        try:
            return self._service.answer(request, session)
        except (CallerGoneError, ProtocolError):
            raise
        except Exception:  # noqa: BLE001 (a bug must not cost the connection its answer)
            _log.exception("a request failed")
            return Frame(header=RefusalError("internal", "the executor failed").to_header())

    def _enter(self, step: int) -> None:
        with self._idle:
            self._running += step
            self._idle.notify_all()
