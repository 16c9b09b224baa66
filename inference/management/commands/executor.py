"""`manage.py executor`: become the executor of this machine, with what the settings say."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from assay.errors import UnavailableError
from inference import runtimes
from ledger.errors import LedgerError
from ledger.services import log_vkey


class Command(BaseCommand):
    """Replace this process: the executor knows neither Django nor the database."""

    help = "Run the executor: the process that runs models, hashes and signs."

    def handle(self, *args: Any, **options: Any) -> None:
        """Execute `python -m inference.executor` with the settings as its command line."""
        try:
            command = command_line()
        except LedgerError as error:
            raise CommandError(error.message) from error
        except UnavailableError as error:
            raise CommandError(f"The executor cannot start: {error}") from error
        settings.EXECUTOR_KEY.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.execv(sys.executable, command)  # noqa: S606 (our own program and settings)


def command_line() -> list[str]:
    """Return the command line of the executor."""
    options = {
        "--socket": settings.EXECUTOR_SOCKET,
        "--key": settings.EXECUTOR_KEY,
        "--runtime": ",".join(str(one.folder) for one in runtimes.installed()),
        "--origin": settings.LEDGER_ORIGIN,
        "--log-vkey": log_vkey(),
        "--slots": settings.EXECUTOR_SLOTS,
        "--native-slots": settings.EXECUTOR_NATIVE_SLOTS,
    }
    if settings.FAILPOINT:
        options["--failpoint"] = settings.FAILPOINT
    given = [str(part) for pair in options.items() for part in pair]
    return [sys.executable, "-m", "inference.executor", *given]
