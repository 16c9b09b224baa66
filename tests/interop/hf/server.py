"""The site as it is served, for stock clients: gunicorn, a database and folders of its own."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from django.conf import settings

from config.stack import free_port

ROOT = Path(__file__).parent.parent.parent.parent


@dataclass(slots=True)
class Server:
    """One gunicorn over a fresh database of the test run's PostgreSQL."""

    data: Path
    name: str
    port: int = field(default_factory=lambda: free_port(None))
    process: subprocess.Popen[bytes] | None = None
    console: subprocess.Popen[str] | None = None
    tokens: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.data / "server.log"

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "DATA": str(self.data),
            "PORT": str(self.port),
            "DATABASE_URL": settings.POSTGRES.url.rpartition("/")[0] + "/" + self.name,
            "DATABASE_POOL": "8",
            "DJANGO_SETTINGS_MODULE": "tests.interop.hf.hub_settings",
            "PYTHONPATH": str(ROOT),
        }

    def prepare(self) -> None:
        """Make the database and its tables."""
        maintenance = settings.POSTGRES.url.rpartition("/")[0] + "/postgres"
        with psycopg.connect(maintenance, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{self.name}"'.encode())
            connection.execute(f'CREATE DATABASE "{self.name}"'.encode())
        self.manage("migrate", "--verbosity", "0")
        self.manage("collectstatic", "--noinput", "--verbosity", "0")

    def manage(self, *arguments: str) -> str:
        return self._run("manage.py", *arguments)

    def call(self, name: str, *arguments: str) -> str:
        """Call a function of `world` on the site; return what it returns, as text."""
        return self.python(
            f"from tests.interop.hf import world\nprint(world.{name}(*{arguments!r}))"
        )

    def python(self, code: str) -> str:
        """Run `code` with the site's rows at hand, in a process that waits; return its words."""
        if self.console is None:
            self.console = subprocess.Popen(
                [sys.executable, "-m", "tests.interop.hf.console"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self.console.stdin is not None
        assert self.console.stdout is not None
        self.console.stdin.write(json.dumps(code) + "\n")
        self.console.stdin.flush()
        told = json.loads(self.console.stdout.readline())
        assert "error" not in told, told["error"]
        return str(told["words"])

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    @property
    def requests(self) -> list[str]:
        """What was asked so far, a line each; see `watch`."""
        return (self.data / "requests.log").read_text().splitlines()

    def token(self, user: str, scope: str = "write") -> str:
        """Return a token of `user`, whose account is made; the same one each time."""
        if (user, scope) not in self.tokens:
            self.tokens[user, scope] = self.python(
                "from django.core.management import call_command\n"
                f"call_command('token', '{user}', '--create', '--scope', '{scope}')"
            )
        return self.tokens[user, scope]

    def start(self, patience_s: float = 60) -> None:
        """Start, and wait for the first answer."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve", "--bind", f"127.0.0.1:{self.port}"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + patience_s
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(self.log.read_text()[-4000:])
            time.sleep(0.05)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def peak_mb(self) -> int:
        """Return the most memory that one web process has had so far, in MB."""
        assert self.process is not None
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        status = [Path(f"/proc/{child}/status").read_text() for child in children]
        peaks = [int(text.partition("VmHWM:")[2].split()[0]) for text in status]
        return max(peaks) // 1024

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the server and its workers; by SIGKILL as a crash would."""
        if self.process is None:
            return
        target = self.process.pid
        if how == signal.SIGKILL:
            os.killpg(target, how)
        else:
            self.process.send_signal(how)
        self.process.wait(30)
        self.process = None

    def close(self) -> None:
        """End everything."""
        self.stop()
        if self.console is not None:
            self.console.communicate(timeout=30)
            self.console = None
