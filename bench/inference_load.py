"""The client of the inference benchmark: POSTs on kept connections, one request at a time on each.

As a program (`python -m bench.inference_load FILE`) it does what the JSON in FILE says and prints
what it got as JSON. It shares the cores with the server that it asks, and says how much of a core
it took itself.
"""

from __future__ import annotations

import base64
import contextlib
import json
import selectors
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

from bench.children import output
from bench.site import Site

END_OF_HEAD = b"\r\n\r\n"
PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one client got: answers a second, latencies in ms, refusals, its own share of a core."""

    rate: float
    p50: float
    p99: float
    refused: int
    client: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Where to POST which bodies, one after the other; `header` are lines of the head."""

    port: int
    path: str
    bodies: Sequence[bytes]
    header: Sequence[str] = ("Content-Type: application/json",)


def load(
    site: Site,
    request: Request,
    *,
    connections: int,
    seconds: float,
    count: int = 0,
    accepted: str = "200",
) -> Load:
    """Send `request` for `seconds`, or (`count`) so often, from a process of its own.

    Answers whose status does not begin with `accepted` count as refusals.
    """
    order = {
        **asdict(request),
        "bodies": [base64.b64encode(body).decode() for body in request.bodies],
        "connections": connections,
        "seconds": seconds,
        "count": count,
        "accepted": accepted,
    }
    listed = site.data / "load.json"
    listed.write_text(json.dumps(order), encoding="utf-8")
    command = [sys.executable, "-m", "bench.inference_load", str(listed)]
    return Load(**json.loads(output(command)))


@dataclass(slots=True)
class Connection:
    """One kept connection: when it asked last, and what came of the answer so far."""

    stream: socket.socket
    asked_at: float = 0.0
    head: bytes = b""
    missing: int = 0
    took: list[float] = field(default_factory=list)
    refused: int = 0

    def ask(self, message: bytes) -> None:
        """Send a request."""
        self.head, self.missing, self.asked_at = b"", 0, time.perf_counter()
        self.stream.sendall(message)

    def read(self, accepted: bytes) -> bool:
        """Read what is there; return whether the answer is whole."""
        data = self.stream.recv(2**18)
        if not data:
            raise SystemExit("the server closed a connection that was to be kept")
        if self.missing:
            self.missing -= len(data)
        else:
            self.head += data
            head, found, rest = self.head.partition(END_OF_HEAD)
            if not found:
                return False
            self.missing = _length(head) - len(rest)
        if self.missing:
            return False
        if accepted in self.head[:16]:
            self.took.append(time.perf_counter() - self.asked_at)
        else:
            self.refused += 1
        return True


def _length(head: bytes) -> int:
    lower = head.lower()
    return int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0])


def send(order: dict[str, Any]) -> dict[str, float]:
    """Do what `order` (see `load`) says; return the fields of `Load`."""
    port, seconds = int(str(order["port"])), float(str(order["seconds"]))
    count, connections = int(str(order["count"])), int(str(order["connections"]))
    messages, accepted = cycle(_messages(order)), f" {order['accepted']}".encode()
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        kept = [
            Connection(
                stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE_S))
            )
            for _ in range(connections)
        ]
        started, used = time.perf_counter(), time.process_time()
        for one in kept:
            selector.register(one.stream, selectors.EVENT_READ, one)
            one.ask(next(messages))
        waiting, sent = len(kept), len(kept)
        while waiting:
            ready = selector.select(PATIENCE_S)
            if not ready:
                raise SystemExit("the server does not answer")
            for key, _ in ready:
                if not key.data.read(accepted):
                    continue
                over = time.perf_counter() - started >= seconds if not count else sent >= count
                if over:
                    waiting -= 1
                    selector.unregister(key.data.stream)
                else:
                    key.data.ask(next(messages))
                    sent += 1
        passed, busy = time.perf_counter() - started, time.process_time() - used
    took = sorted(took * 1000 for one in kept for took in one.took)
    if not took:
        raise SystemExit(f"no request was answered: {kept[0].head[:300]!r}")
    return {
        "rate": len(took) / passed,
        "p50": took[len(took) // 2],
        "p99": took[len(took) * 99 // 100],
        "refused": sum(one.refused for one in kept),
        "client": busy / passed,
    }


def _messages(order: dict[str, Any]) -> list[bytes]:
    lines = "".join(f"{line}\r\n" for line in order["header"])
    made = []
    for text in order["bodies"]:
        body = base64.b64decode(text)
        head = f"POST {order['path']} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}"
        made.append(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return made


if __name__ == "__main__":
    print(json.dumps(send(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))))
