"""What the commands over whole logs share: which logs, how far they are, and how they end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.progress import Progress

from ledger.errors import LedgerError, UnknownLogError
from ledger.logs import all_logs, current_log
from ledger.models import Log


def add_log_option(parser: CommandParser) -> None:
    """Add `--log ORIGIN`."""
    parser.add_argument("--log", metavar="ORIGIN", help="only this log of the installation")


def asked_logs(origin: str | None) -> list[Log]:
    """Return the log that was asked for, or all, the oldest first.

    Raises:
        UnknownLogError: there is none with that origin.
        LogBusyError: there is none at all yet.
    """
    logs = all_logs() or [current_log()]
    asked = [log for log in logs if origin in (None, log.origin)]
    if not asked:
        known = ", ".join(log.origin for log in logs)
        raise UnknownLogError(f"There is no log {origin} here. These are: {known}.")
    return asked


@contextmanager
def progress_of(log: Log) -> Iterator[Callable[[int, int], None]]:
    """Show a bar while `log` is gone through; yields what takes `(done, size)`."""
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"Entries of {log.origin}", total=None)
        yield lambda done, size: bar.update(task, completed=done, total=size)


@contextmanager
def ending() -> Iterator[None]:
    """End the command with exit code 1 for what the ledger says, with 3 when nothing can be said.

    The latter is a storage that does not answer.
    """
    try:
        yield
    except LedgerError as error:
        raise CommandError(error.message, returncode=1) from error
    except OSError as error:
        raise CommandError(f"The log's storage fails: {error}", returncode=3) from error
