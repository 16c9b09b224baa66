"""A throw-away Assay to measure: a durable PostgreSQL, an open log, and a real witness process.

    with Site.open() as site:          # from here on, modules that need Django's models load
        with site.sequencer():
            ...

Everything lies in one new folder, listens on loopback or unix sockets, and is gone at the end.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bench.children import ROOT, start
from config.embedded import Postgres, run_dir

MANAGE = [sys.executable, str(ROOT / "manage.py")]
PATIENCE_S = 60.0
ERRORS = "errors.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The folder of a running measurement; `environment` is that of its children."""

    data: Path
    witness: str
    errors: IO[bytes]

    @property
    def log(self) -> Path:
        """Return the file that the children write their errors to."""
        return self.data / ERRORS

    @classmethod
    @contextlib.contextmanager
    def open(cls, parent: Path | None = None) -> Iterator[Site]:
        """Start a database and a witness, and open the log; `parent` is where the folder lies."""
        data = Path(tempfile.mkdtemp(prefix="assay-bench-", dir=parent))
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, data, ignore_errors=True)
            errors = stack.enter_context((data / ERRORS).open("ab"))
            stack.enter_context(_database(data, errors))
            yield cls(data=data, witness=stack.enter_context(_witness(errors)), errors=errors)

    @contextlib.contextmanager
    def sequencer(self) -> Iterator[int]:
        """Run `manage.py sequencer`; yields its process id once it leads."""
        from ledger.services.state import log_state

        with child([*MANAGE, "sequencer"], self.errors) as process:
            wait(lambda: log_state().alive, "the sequencer", process, self.log)
            yield process.pid

    @contextlib.contextmanager
    def web(self) -> Iterator[int]:
        """Run `manage.py serve` as the command does it; yields its port."""
        from config.stack import answers, free_port

        port = free_port(None)
        quiet = {"DATABASE_POOL": "10"}
        command = [*MANAGE, "serve", "--bind", f"127.0.0.1:{port}"]
        with child(command, self.errors, quiet) as process:
            wait(answers(port, "/readyz"), "the web tier", process, self.log)
            yield port

    def storage_bytes(self) -> tuple[int, int]:
        """Return the bytes in the log's files, and the bytes of the disk's blocks they take."""
        found = [path.stat() for path in (self.data / "log").rglob("*") if path.is_file()]
        return sum(one.st_size for one in found), sum(one.st_blocks * 512 for one in found)


@contextlib.contextmanager
def _database(data: Path, errors: IO[bytes]) -> Iterator[None]:
    """Run a durable PostgreSQL, and set Django up on it."""
    sockets = run_dir(data)
    postgres = Postgres(data=data / "postgres", sockets=sockets)
    postgres.prepare()
    # These are read once, when Django loads the settings below, and by the children.
    os.environ.update(
        DATA=str(data),
        DATABASE_POOL="0",
        DATABASE_URL=postgres.url,
        DJANGO_SETTINGS_MODULE="config.settings",
        LOG_LEVEL="WARNING",
        PYTHONPATH=str(ROOT),
    )
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, sockets, ignore_errors=True)
        process = stack.enter_context(
            child(postgres.command(durable=True), errors, stop=signal.SIGINT)
        )
        wait(postgres.answers, "PostgreSQL", process, data / ERRORS)
        postgres.create_database()
        import django
        from django.core.management import call_command
        from django.db import connection

        django.setup()
        call_command("migrate", verbosity=0)
        stack.callback(connection.close)
        yield


@contextlib.contextmanager
def _witness(errors: IO[bytes]) -> Iterator[str]:
    """Open the log and run `assay witness serve` for it; yields the witness's name."""
    from config import stack
    from ledger import services as ledger

    ledger.ensure_log()
    port = stack.free_port(None)
    program = stack.witness(port, ledger.log_vkey())
    with child(program.command, errors) as process:
        wait(program.ready, "the witness", process, Path(errors.name))
        stack.write_policy(port, ledger.log_vkey())
        yield stack.WITNESS_NAME


@contextlib.contextmanager
def child(
    command: list[str],
    errors: IO[bytes],
    changes: dict[str, str] | None = None,
    *,
    stop: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` with `changes` to the environment; end it by `stop` after the block."""
    process = start(command, out=errors, errors=errors, changes=changes)
    try:
        yield process
    finally:
        process.send_signal(stop)
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait(ready: Callable[[], bool], name: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a child is ready; end the measurement with its last words when it is not."""
    deadline = time.monotonic() + PATIENCE_S
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise SystemExit(f"{name} did not start; its last words:\n{said}")
        time.sleep(0.05)
