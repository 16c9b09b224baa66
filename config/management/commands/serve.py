from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser


def _heartbeats() -> str:
    """Return a folder whose writes reach no disk, where the machine has one."""
    memory = Path("/dev") / "shm"
    return str(memory) if memory.is_dir() else tempfile.gettempdir()


class Command(BaseCommand):
    """Replace this process by gunicorn, serving the site on `--bind`."""

    help = "Serve the site with gunicorn (threads, keep-alive)."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--bind", default=f"127.0.0.1:{settings.PORT}")
        parser.add_argument("--workers", type=int, default=2)
        parser.add_argument("--threads", type=int, default=16)

    def handle(self, *args: Any, **options: Any) -> None:
        command = [
            *(sys.executable, "-m", "gunicorn", "config.wsgi:application"),
            *("--bind", options["bind"], "--worker-class", "gthread"),
            *("--workers", str(options["workers"]), "--threads", str(options["threads"])),
            *("--keep-alive", "75", "--timeout", "120", "--graceful-timeout", "5"),
            *("--no-control-socket", "--logger-class", "config.gunicorn_logs.SiteLogger"),
            *("--max-requests", "100000", "--max-requests-jitter", "10000"),
            *("--worker-tmp-dir", _heartbeats()),
        ]
        os.execv(sys.executable, command)  # noqa: S606 (our own command)
