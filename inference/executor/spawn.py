"""Starts jailed children, from one thread that lives as long as the supervisor.

The kernel ties a child's death to the *thread* that started it (PR_SET_PDEATHSIG), so no thread
that may end earlier starts one. A child gets one end of a socket pair as its standard input,
nothing else that is open here, and an environment of its own.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from inference.executor.protocol import Stream

JAIL = Path(__file__).parent / "jail.py"
ROOT = Path(__file__).parents[2]
_log = logging.getLogger(__name__)
SEND_S = 10.0  # a child that does not read is not waited for
ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "OPENBLAS_NUM_THREADS": "1",
    "OPENSSL_CONF": "/dev/null",
    "ORT_DISABLE_TELEMETRY": "1",  # the wheel would report home; there is no network either
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONPATH": str(ROOT),
    "UV_THREADPOOL_SIZE": "1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Jail:
    """What a child may use: CPU seconds, address space in bytes, paths to read; None = no limit."""

    cpu_s: int | None = None
    memory: int | None = None
    readable: tuple[Path, ...] = ()

    def arguments(self) -> list[str]:
        """Return the command line of the launcher, up to the program."""
        result = [sys.executable, "-I", "-S", str(JAIL), "--parent", str(os.getpid())]
        if self.cpu_s is not None:
            result += ["--cpu", str(self.cpu_s)]
        if self.memory is not None:
            result += ["--memory", str(self.memory)]
        for path in self.readable:
            result += ["--read", str(path)]
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A running process and our end of its standard input."""

    process: subprocess.Popen[bytes]
    connection: socket.socket
    stream: Stream = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stream", Stream(self.connection))

    def kill(self) -> None:
        """End it, whatever it is doing, and wait until it is gone."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.connection.close()


class Spawner:
    """The one thread that starts processes."""

    def __init__(
        self, *, verbose: bool = False, environment: Mapping[str, str] | None = None
    ) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spawner")
        self._verbose = verbose
        self._environment = {**ENVIRONMENT, **(environment or {})}

    def start(self, program: Sequence[str], jail: Jail) -> Child:
        """Start `program` in `jail`.

        Raises:
            OSError: the launcher cannot be started.
        """
        return self._thread.submit(self._start, [*jail.arguments(), "--", *program]).result()

    def layers(self, jail: Jail) -> dict[str, bool]:
        """Return which layers of `jail` hold on this machine, by trying them."""
        command = [*jail.arguments(), "--report"]
        run = self._thread.submit(
            subprocess.run,
            command,
            check=True,
            capture_output=True,
            env=self._environment,
        )
        layers: dict[str, bool] = json.loads(run.result().stdout)
        return layers

    def close(self) -> None:
        """Start nothing any more."""
        self._thread.shutdown()

    def _start(self, command: list[str]) -> Child:
        ours, theirs = socket.socketpair()
        ours.settimeout(SEND_S)
        with theirs:
            process = subprocess.Popen(  # noqa: S603 (our own launcher; no shell)
                command,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                # Never a file: writing one is forbidden in there.
                stderr=subprocess.PIPE if self._verbose else subprocess.DEVNULL,
                env=self._environment,
                cwd="/",
            )
        if process.stderr is not None:
            threading.Thread(target=_show, args=(process.stderr,), daemon=True).start()
        return Child(process=process, connection=ours)


def _show(lines: IO[bytes]) -> None:
    with lines:
        for line in lines:
            _log.info("model process: %s", line[:1_000].decode(errors="replace").rstrip())
