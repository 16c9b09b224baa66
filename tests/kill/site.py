"""A whole Assay as processes of its own, each with a folder in which its failpoints are armed.

What dies is started again, as a supervisor would. PostgreSQL is reached through a relay, which can
lose the answer to a COMMIT.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from celery import Celery
from kombu.exceptions import KombuError, OperationalError
from redis import Redis as RedisClient

from config.embedded import Postgres, Redis, run_dir
from config.stack import answers, free_port
from inference.client import ExecutorClient, ExecutorUnavailableError
from tests.kill.relay import Relay

ROOT = Path(__file__).parents[2]
PATIENCE_S = 90.0
POLL_S = 0.05
PAUSE_S = 0.1
THREADS = 8  # of each web process
FOREIGN = ("ASSAY_TEST_DATA", "DATABASE_POOL", "DATABASE_URL", "COVERAGE_PROCESS", "PYTEST")


@dataclass(slots=True, kw_only=True)
class Running:
    """One program and its present process; `kept` is what starts it again."""

    name: str
    command: Sequence[str]
    environment: dict[str, str]
    stop: signal.Signals = signal.SIGTERM
    process: subprocess.Popen[bytes] | None = None
    kept: bool = True
    deaths: int = 0


@dataclass(slots=True)
class Site:
    """The processes, and the ways to hurt them and to ask them."""

    data: Path
    port: int = field(default_factory=lambda: free_port(None))
    token: str = ""
    programs: dict[str, Running] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _asking: threading.Lock = field(default_factory=threading.Lock)
    _closing: threading.Event = field(default_factory=threading.Event)
    _relay: Relay | None = None
    _connection: psycopg.Connection[Any] | None = None

    # ------------------------------------------------------------------ where things are

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def postgres(self) -> Postgres:
        return Postgres(data=self.data / "postgres", sockets=run_dir(self.data))

    @property
    def redis(self) -> Redis:
        return Redis(sockets=run_dir(self.data))

    @property
    def relay(self) -> Relay:
        assert self._relay is not None
        return self._relay

    def armed(self, program: str) -> Path:
        """Return the folder of the failpoints of `program`."""
        return self.data / "armed" / program

    def environment(self, program: str) -> dict[str, str]:
        """Return the environment of `program`, without what this test run put there."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith(FOREIGN)}
        return kept | {
            "DATA": str(self.data),
            "PORT": str(self.port),
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": self.postgres.url.replace(
                run_dir(self.data).name, f"{run_dir(self.data).name}%2Frelay"
            ),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "LOG_LEVEL": "WARNING",
            "WEBHOOK_LOOPBACK": "1",
            "WEBHOOK_HIGH_PORTS": "1",
            "ASSAY_FAILPOINT": str(self.armed(program)),
        }

    # ------------------------------------------------------------------ start and stop

    def start(self) -> None:
        """Start everything, publish the models, and wait until all of it answers."""
        (self.data / "logs").mkdir(parents=True)
        postgres, redis = self.postgres, self.redis
        postgres.prepare()
        self.run("postgresql", postgres.command(), signal.SIGINT)
        self.run("redis", redis.command())
        threading.Thread(target=self._keep, daemon=True).start()
        self.until(postgres.answers, "PostgreSQL answers")
        self.until(redis.answers, "Redis answers")
        postgres.create_database()
        self._relay = Relay(run_dir(self.data) / "relay", run_dir(self.data))
        told = json.loads(self.python("-m", "tests.kill.ground"))
        self.token = told["token"]
        self._start_ours()
        self.python("manage.py", "register_executor")

    def _start_ours(self) -> None:
        self.run("sequencer", self.manage("sequencer"))
        self.run("executor", self.manage("executor"))
        self.run("web", self.manage("serve", "--workers", "2", "--threads", str(THREADS)))
        for number in (1, 2):
            self.run(f"worker-{number}", self.worker(number), folder="worker")
        self.run("beat", self.beat("beat"))
        for name in ("executor", "web"):
            self.until(self.ready(name), f"{name} answers")
        self.until(self.workers_answer, "both workers answer")

    def run(
        self,
        name: str,
        command: Sequence[str],
        stop: signal.Signals = signal.SIGTERM,
        *,
        folder: str = "",
    ) -> None:
        """Start a program, and again whenever it dies."""
        self.armed(folder or name).mkdir(parents=True, exist_ok=True)
        environment = self.environment(folder or name)
        program = Running(name=name, command=command, environment=environment, stop=stop)
        with self._lock:
            self.programs[name] = program
            self._spawn(program)

    def _spawn(self, program: Running) -> None:
        with (self.data / "logs" / f"{program.name}.log").open("ab") as log:
            program.process = subprocess.Popen(
                program.command,
                cwd=ROOT,
                env=program.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _keep(self) -> None:
        while not self._closing.wait(PAUSE_S):
            with self._lock:
                for program in self.programs.values():
                    if program.kept and self.process(program.name).poll() is not None:
                        program.deaths += 1
                        self._spawn(program)

    def end(self, name: str) -> None:
        """End a program in order and forget it."""
        with self._lock:
            program = self.programs.pop(name)
        process = program.process
        assert process is not None
        process.send_signal(program.stop)
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def close(self) -> None:
        """End everything; nobody needs this data any more."""
        self._closing.set()
        for name, program in self.programs.items():
            self.kill_group(name)
            assert program.process is not None
            program.process.wait()
        if self._connection is not None:
            self._connection.close()
        if self._relay is not None:
            self._relay.close()
        shutil.rmtree(run_dir(self.data), ignore_errors=True)

    @staticmethod
    def manage(*arguments: str) -> list[str]:
        return [sys.executable, "manage.py", *arguments]

    @staticmethod
    def celery(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "celery", "--app", "config.celery", *arguments]

    def worker(self, number: int) -> list[str]:
        return self.celery(
            *("worker", "--pool", "threads", "--concurrency", "4", "--without-gossip"),
            *("--without-mingle", "--queues", "executions,replays,housekeeping"),
            *("--loglevel", "WARNING", "--hostname", f"worker{number}@localhost"),
        )

    def beat(self, name: str) -> list[str]:
        return self.celery(
            "beat", "--schedule", str(self.data / f"{name}-schedule"), "--loglevel", "WARNING"
        )

    def python(self, *arguments: str) -> str:
        """Run a Python program on this site; return what it printed."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.environment("none"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def tails(self) -> str:
        """Return the ends of the logs, for a failing test's message."""
        logs = sorted((self.data / "logs").glob("*.log"))
        ends = [f"\n--- {log.name}\n" + log.read_text(errors="replace")[-3000:] for log in logs]
        return "".join(ends)

    # ------------------------------------------------------------------ who runs, who answers

    def process(self, name: str) -> subprocess.Popen[bytes]:
        """Return the present process of a program."""
        process = self.programs[name].process
        assert process is not None
        return process

    def until(self, true: Callable[[], object], what: str, limit_s: float = PATIENCE_S) -> None:
        """Wait for what other processes do: there is no event to wait for."""
        until = time.monotonic() + limit_s
        while not true():
            assert time.monotonic() < until, f"{what}: that never was{self.tails()}"
            self._closing.wait(POLL_S)

    def ready(self, name: str) -> Callable[[], bool]:
        """Return a check that the web or the executor answers."""
        return answers(self.port, "/healthz") if name == "web" else self._executor_answers

    def _executor_answers(self) -> bool:
        with ExecutorClient(run_dir(self.data) / "executor.sock", timeout=5) as client:
            try:
                return client.status().free > 0
            except ExecutorUnavailableError:
                return False

    def workers_answer(self) -> bool:
        with suppress(KombuError, OperationalError, OSError):
            return len(self.broker.control.ping(timeout=0.5) or ()) == 2
        return False

    def whole(self) -> bool:
        """Tell whether every program runs, and web, executor and database answer."""
        with self._lock:
            alive = all(self.process(name).poll() is None for name in self.programs)
        return (
            alive
            and self.postgres.answers()
            and all(self.ready(name)() for name in ("web", "executor"))
        )

    def members(self, name: str) -> list[int]:
        """Return the ids of the processes of a program: its group."""
        group = self.process(name).pid
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                    if int(fields[2]) == group and fields[0] != "Z":
                        found.append(int(entry.name))
        return sorted(found)

    # ------------------------------------------------------------------ hurting

    def arm(self, program: str, point: str, fault: str) -> None:
        """Let `fault` (`kill`, `kill@3` …) happen where `program` comes by `point`."""
        path = self.armed(program) / point
        path.parent.mkdir(exist_ok=True)
        draft = path.with_suffix(".draft")
        draft.write_text(fault, encoding="ascii")
        draft.rename(path)

    def fired(self, program: str, point: str) -> bool:
        """Tell whether it happened."""
        return not (self.armed(program) / point).exists()

    def disarm(self, program: str, point: str) -> bool:
        """Take a failpoint back; tell whether it was still there."""
        try:
            (self.armed(program) / point).unlink()
        except FileNotFoundError:
            return False
        return True

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to the main process of a program."""
        with self._lock, suppress(ProcessLookupError):
            os.kill(self.process(name).pid, number)

    def kill_group(self, name: str) -> None:
        """Kill every process of a program."""
        with self._lock, suppress(ProcessLookupError):
            os.killpg(self.process(name).pid, signal.SIGKILL)

    def pause(self) -> None:
        """Wait as long as an impatient client does before it asks again."""
        self._closing.wait(PAUSE_S)

    @contextmanager
    def also(self, name: str, command: Sequence[str]) -> Iterator[None]:
        """Run one more program for the length of a block."""
        self.run(name, command)
        try:
            yield
        finally:
            self.end(name)

    # ------------------------------------------------------------------ database and broker

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query, asked past the relay; once more if the database was away."""
        with self._asking:
            return self._rows(query, parameters)

    def _rows(self, query: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        for _ in range(2):
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = psycopg.connect(self.postgres.url, autocommit=True)
                cursor = self._connection.execute(query, parameters)
                return cursor.fetchall() if cursor.description else []
            except psycopg.OperationalError:
                if self._connection is not None:
                    self._connection.close()
                self._connection = None
                self.until(self.postgres.answers, "PostgreSQL answers again")
        raise AssertionError("the database went away twice")

    @property
    def broker(self) -> Celery:
        return Celery(broker=self.redis.broker_url, set_as_current=False)

    def send(self, task: str, queue: str) -> None:
        """Publish a wake-up; nothing if the broker is away."""
        with suppress(KombuError, OperationalError, OSError), self.broker.connection() as link:
            self.broker.send_task(
                f"inference.tasks.{task}",
                queue=queue,
                connection=link,
                ignore_result=True,
                retry=False,
            )

    def redis_client(self) -> RedisClient:
        return RedisClient(unix_socket_path=str(self.redis.socket), socket_timeout=5)
