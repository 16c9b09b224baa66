"""`manage.py auditor`: be the registry's own auditor until told to stop."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from assay.errors import MisuseError
from inference.auditor import Loop


class Command(BaseCommand):
    """Replay executions, those that lots fall on and those that somebody asks for."""

    help = "Run the auditor: the process that replays executions and signs what it finds."

    def handle(self, *args: Any, **options: Any) -> None:
        """Audit until SIGTERM or SIGINT."""
        loop = Loop(threading.Event())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: loop.end())
        try:
            loop.run()
        except MisuseError as error:
            raise CommandError(f"The auditor cannot start: {error}") from error
