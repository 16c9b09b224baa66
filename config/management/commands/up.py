from __future__ import annotations

import fcntl
import hashlib
import io
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections, transaction
from rich.console import Console

from assay.told import until_told
from config import stack
from config.embedded import EmbeddedError, child_environment
from config.supervise import ChildError, Supervisor
from inference import runtimes
from ledger.services.documents import log_vkey
from ledger.services.opening import ensure_log
from registry.services import tokens
from registry.services.owners import create_person

OPERATOR = "operator"
EXAMPLES = "examples"
ROOT = settings.BASE_DIR


class Command(BaseCommand):
    """Start everything on this machine, and keep it running until Ctrl-C.

    Every step can be cut off anywhere and done again: the cluster is renamed into place when it is
    whole, migrations are transactions, keys are linked into place whole, and publishing the
    examples goes through the site, which stores all of a release or nothing.
    """

    help = "Start PostgreSQL, Redis and every process of Assay, and watch over them."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        settings.DATA.mkdir(parents=True, exist_ok=True)
        for private in (settings.DATA / "logs", settings.EMAIL_FILE_PATH):
            private.mkdir(mode=0o700, exist_ok=True)  # mail holds links that reset passwords
        with self.only_one(), until_told(signal.SIGHUP, patient=True) as stop:
            supervisor = Supervisor(logs=settings.DATA / "logs", tell=self.tell, stop=stop)
            try:
                self.start(supervisor)
                supervisor.watch()
            except (ChildError, EmbeddedError) as error:
                if not supervisor.stop.is_set():
                    raise CommandError(str(error)) from error
            finally:
                self.tell("Stopping")
                supervisor.shut_down()
                with suppress(OSError):  # something of the operator's may lie there
                    settings.RUN_DIR.rmdir()
                self.tell("Stopped; all data is in " + str(settings.DATA))

    def tell(self, line: str) -> None:
        self.console.print(line)

    @contextmanager
    def only_one(self) -> Iterator[None]:
        """Hold the lock of this data folder; the kernel drops it with the process."""
        with (settings.DATA / "up.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CommandError(
                    f"Assay already runs on {settings.DATA}. Stop it, or set DATA elsewhere."
                ) from None
            yield

    @contextmanager
    def step(self, doing: str) -> Iterator[None]:
        """Show that something is under way, and how long it took."""
        begun = time.monotonic()
        with self.console.status(doing):
            yield
        self.console.print(f"[green]✓[/green] {doing} ({time.monotonic() - begun:.1f} s)")

    def start(self, supervisor: Supervisor) -> None:
        """Bring everything up, in the order of who needs whom."""
        stack.refuse_embedded()
        taken = stack.answers(settings.PORT, "/healthz")
        if stack.free_port(settings.PORT) != settings.PORT or taken():
            raise CommandError(
                f"Port {settings.PORT} is taken, or not yours to open. "
                "Set PORT to another one: make run PORT=8001"
            )
        with self.step("Databases"):
            self.start_databases(supervisor)
        with self.step("Tables and static files"):
            call_command("migrate", verbosity=0, interactive=False)
            self.collect_static()
            ensure_log()
            runtimes.add(settings.PORTABLE_RUNTIME)
        self.accounts()
        with self.step("Witness, sequencer, executor, auditor, web, worker, beat"):
            self.start_servers(supervisor)
            call_command("register_keys", stdout=io.StringIO())
            call_command("register_executor", stdout=io.StringIO())
        with self.step("Example models"):
            self.publish_examples(supervisor)
        connections.close_all()
        self.console.print(f"Data: {settings.DATA}   Logs: {settings.DATA / 'logs'}   Stop: Ctrl-C")
        if settings.EMAIL_BACKEND.endswith(".filebased.EmailBackend"):
            self.console.print(f"Mail is not sent: it is written to {settings.EMAIL_FILE_PATH}")
        self.console.print(f"Assay is ready at http://127.0.0.1:{settings.PORT}")

    def start_databases(self, supervisor: Supervisor) -> None:
        settings.POSTGRES.stop_leftover()
        settings.POSTGRES.prepare()
        programs = stack.databases()
        for program in programs:
            supervisor.start(program)
        supervisor.wait_ready(*(program.name for program in programs))
        if settings.POSTGRES.url == settings.DATABASE_URL:
            settings.POSTGRES.create_database()

    def start_servers(self, supervisor: Supervisor) -> None:
        port_file = settings.DATA / "witness" / "port"
        port_file.parent.mkdir(parents=True, exist_ok=True)
        wanted = int(port_file.read_text()) if port_file.exists() else None
        port = stack.free_port(wanted)
        port_file.write_text(str(port))
        log = log_vkey()
        supervisor.start(stack.witness(port, log))
        supervisor.wait_ready("witness")
        stack.write_policy(port, log)
        programs = stack.servers()
        for program in programs:
            supervisor.start(program)
        supervisor.wait_ready(*(program.name for program in programs))

    def collect_static(self) -> None:
        """Copy the static files when they differ from those of the last start."""
        with self.when_changed(ROOT / "static", "static.stamp") as changed:
            if changed:
                call_command("collectstatic", verbosity=0, interactive=False)

    @contextmanager
    def when_changed(self, folder: Path, stamp_name: str) -> Iterator[bool]:
        """Say whether `folder` differs from what it was when the block last ended well."""
        stamp = settings.DATA / stamp_name
        state = hashlib.sha256()
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                found = path.stat()
                state.update(f"{path} {found.st_size} {found.st_mtime_ns}\n".encode())
        changed = not stamp.exists() or stamp.read_text() != state.hexdigest()
        yield changed
        if changed:
            stamp.write_text(state.hexdigest())

    def accounts(self) -> None:
        """Make the accounts of the installation before anybody else can sign up by their names.

        The password is told at once: a first start that is broken off does not lose it.
        """
        users = get_user_model().objects
        if not users.filter(username=EXAMPLES).exists():
            with transaction.atomic():
                create_person(users.create_user(EXAMPLES, "examples@localhost"))
        if not users.filter(username=OPERATOR).exists():
            password = secrets.token_urlsafe(12)
            with transaction.atomic():
                create_person(users.create_superuser(OPERATOR, "operator@localhost", password))
            self.console.print(f"Operator account: {OPERATOR} / {password}   (shown only now)")

    def publish_examples(self, supervisor: Supervisor) -> None:
        """Publish `examples/` as any publisher would: over HTTP, with a key file and a token."""
        with self.when_changed(Path(ROOT) / "examples", "examples.stamp") as changed:
            if not changed:
                return
            user = get_user_model().objects.get(username=EXAMPLES)
            row, token = tokens.create(user, name="make run", scope="admin")
            try:
                self.run_publisher(supervisor, token)
            finally:
                tokens.revoke(user, row.digest)

    def run_publisher(self, supervisor: Supervisor, token: str) -> None:
        command = [
            *(sys.executable, str(Path(ROOT) / "examples" / "publish.py")),
            *("--url", f"http://127.0.0.1:{settings.PORT}", "--owner", EXAMPLES),
            *("--key", str(settings.KEYS_DIR / "examples.pem")),
        ]
        environment = child_environment(settings.DATA) | {"ASSAY_TOKEN": token}
        environment["PYTHONPATH"] = str(ROOT)
        with (settings.DATA / "logs" / "examples.log").open("ab") as log:
            child = subprocess.Popen(command, env=environment, stdout=log, stderr=log)  # noqa: S603 (our own script)
            while child.poll() is None:
                supervisor.revive()
                if supervisor.stop.wait(0.05):
                    os.kill(child.pid, signal.SIGTERM)
        if child.returncode != 0:
            raise ChildError(f"publishing the examples failed; see {log.name}")
