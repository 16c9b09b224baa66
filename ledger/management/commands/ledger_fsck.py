from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ledger.management.every_log import add_log_option, asked_logs, ending, progress_of
from ledger.services.check import check_log, check_payloads


class Command(BaseCommand):
    """Exit 0 when all was recomputed, 1 with the first damage named, 3 when it cannot be read."""

    help = "Recompute every log: rows, signatures, tiles, entry bundles, checkpoints."

    def add_arguments(self, parser: CommandParser) -> None:
        add_log_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        with ending():
            for log in asked_logs(options["log"]):
                with progress_of(log) as on_progress:
                    size = check_log(on_progress, log)
                self.stdout.write(f"The log {log.origin} of {size} entries is whole.")
            check_payloads()
