from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import Progress

from ledger.errors import LedgerError
from ledger.services.check import check_log


class Command(BaseCommand):
    """Exit 0 when the whole log was recomputed, 1 with the first damage named."""

    help = "Recompute the log: rows, signatures, tiles, entry bundles, checkpoints."

    def handle(self, *args: Any, **options: Any) -> None:
        console = Console(stderr=True)
        try:
            with Progress(console=console, transient=True) as progress:
                task = progress.add_task("Entries", total=None)
                size = check_log(
                    lambda done, total: progress.update(task, completed=done, total=total)
                )
        except LedgerError as error:
            raise CommandError(error.message, returncode=1) from error
        self.stdout.write(f"The log of {size} entries is whole.")
