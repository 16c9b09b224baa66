"""How fast proofs and tiles are handed out: the web tier, and a static server on the same files.

As a program (`python -m bench.serving PORT SECONDS CONNECTIONS FILE`) it is the client: it keeps
connections open and asks for the paths in FILE, one after the other on each. It shares the cores
with the server it asks, and says how much of a core it took itself: near 100 %, it was the limit.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

from bench.children import output, start
from bench.site import Site, wait

CONNECTIONS = 16
END_OF_HEAD = b"\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What one client got: answers and bytes a second, latencies in ms, its own share of a core."""

    what: str
    server: str
    rate: float
    megabytes: float
    p50: float
    p99: float
    client: float


def serve(site: Site, seconds: float) -> Iterator[Served]:
    """Ask the web tier for bundles, tiles and the checkpoint, and a static server for tiles."""
    from ledger.logs import current_log

    size = current_log().size
    root = site.data / "log"
    bundles = [f"/api/v1/ledger/entries/{(number * 7919) % size}" for number in range(500)]
    tiles = _tiles(root)
    heads = ["/log/checkpoint"]
    with site.web() as port:
        kind = "gunicorn, 2 processes of 16 threads"
        yield _ask("entry with bundle", kind, site, port, bundles, seconds)
        yield _ask("tile", kind, site, port, [f"/log/{path}" for path in tiles], seconds)
        yield _ask("checkpoint", kind, site, port, heads, seconds)
    with static_server(site) as (port, name):
        yield _ask("tile", name, site, port, [f"/{path}" for path in tiles], seconds)
        yield _ask("checkpoint", name, site, port, ["/checkpoint"], seconds)


def _tiles(root: Path, most: int = 500) -> list[str]:
    full = [
        path.relative_to(root).as_posix()
        for path in sorted((root / "tile").rglob("*"))
        if path.is_file() and not path.parent.name.endswith(".p")
    ]
    anything = [path.relative_to(root).as_posix() for path in (root / "tile").rglob("*.p/*")]
    return (full or anything)[:most]


def _ask(what: str, server: str, site: Site, port: int, paths: list[str], seconds: float) -> Served:
    listed = site.data / "paths.txt"
    listed.write_text("\n".join(paths), encoding="ascii")
    client = [sys.executable, "-m", "bench.serving", str(port)]
    for time_s in (min(1.0, seconds), seconds):  # the first round warms caches up
        said = output([*client, str(time_s), str(CONNECTIONS), str(listed)])
    return Served(what=what, server=server, **json.loads(said))


@contextlib.contextmanager
def static_server(site: Site) -> Iterator[tuple[int, str]]:
    """Serve the log's folder by a program that is not ours; yields its port and name."""
    from config.stack import answers, free_port

    port = free_port(None)
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx:
        config = site.data / "nginx.conf"
        config.write_text(_nginx(site.data, port), encoding="utf-8")
        said = output([nginx, "-v"], errors=subprocess.STDOUT).decode()
        name = said.strip().rpartition(" ")[2].replace("nginx/", "nginx ")
        command = [nginx, "-p", str(site.data), "-c", str(config)]
    else:
        name = f"python {sys.version.split()[0]} http.server (no nginx here)"
        command = [sys.executable, "-m", "http.server", "--protocol", "HTTP/1.1"]
        command += ["--bind", "127.0.0.1", "--directory", str(site.data / "log"), str(port)]
    process = start(command, out=site.errors, errors=site.errors)
    try:
        wait(answers(port, "/checkpoint"), name, process, site.log)
        yield port, name
    finally:
        process.terminate()
        process.wait()


def _nginx(data: Path, port: int) -> str:
    """Return a configuration for two processes that write nowhere but under `data`."""
    temporary = "".join(
        f"{kind}_temp_path {data}/nginx-{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if data.owner() == "root" else ""
    return (
        f"daemon off; {user} worker_processes 2; pid {data}/nginx.pid; error_log stderr;"
        "events { worker_connections 256; }"
        f"http {{ access_log off; sendfile on; keepalive_requests 1000000; {temporary}"
        f"server {{ listen 127.0.0.1:{port}; root {data}/log; }} }}"
    )


@dataclass(slots=True)
class Connection:
    """One kept connection: what was asked when, and what came of the answer so far."""

    stream: socket.socket
    asked_at: float = 0.0
    head: bytes = b""
    missing: int = 0
    took: list[float] = field(default_factory=list)

    def ask(self, path: str) -> None:
        self.head, self.asked_at = b"", time.perf_counter()
        self.stream.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())

    def read(self) -> tuple[int, bool]:
        """Read what is there; return how many bytes, and whether the answer is whole."""
        data = self.stream.recv(2**18)
        if not data:
            raise SystemExit("the server closed a connection that was to be kept")
        if self.missing:
            self.missing -= len(data)
        else:
            self.head += data
            head, found, rest = self.head.partition(END_OF_HEAD)
            if not found:
                return len(data), False
            self.missing = _length(head) - len(rest)
        if self.missing == 0:
            self.took.append(time.perf_counter() - self.asked_at)
        return len(data), self.missing == 0


def _length(head: bytes) -> int:
    status, _, fields = head.partition(b"\r\n")
    if b" 200 " not in status:
        raise SystemExit(f"the server answered {status!r}")
    lower = fields.lower()
    return int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0])


def ask_for(port: int, seconds: float, connections: int, paths: list[str]) -> dict[str, float]:
    """Ask for `paths` again and again on kept connections; return the figures of `Served`."""
    following = cycle(paths)
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        kept = [
            Connection(stack.enter_context(socket.create_connection(("127.0.0.1", port))))
            for _ in range(connections)
        ]
        started, used, got = time.perf_counter(), time.process_time(), 0
        for one in kept:
            selector.register(one.stream, selectors.EVENT_READ, one)
            one.ask(next(following))
        while time.perf_counter() - started < seconds:
            for key, _ in selector.select(1.0):
                count, whole = key.data.read()
                got += count
                if whole:
                    key.data.ask(next(following))
        passed = time.perf_counter() - started
        busy = time.process_time() - used
    took = sorted(one_took * 1000 for one in kept for one_took in one.took)
    return {
        "rate": len(took) / passed,
        "megabytes": got / passed / 1e6,
        "p50": took[len(took) // 2],
        "p99": took[len(took) * 99 // 100],
        "client": busy / passed,
    }


if __name__ == "__main__":
    asked = Path(sys.argv[4]).read_text(encoding="ascii").split("\n")
    print(json.dumps(ask_for(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), asked)))
