from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from ledger.logs import current_log
from ledger.management.every_log import add_log_option, asked_logs, ending, progress_of
from ledger.models import Log
from ledger.services.rebuild import rebuild
from ledger.storage import FolderStorage, LogStorage, log_storage


class Command(BaseCommand):
    """Exit 0 when every file is there, 1 with the first difference named, 3 when none is taken."""

    help = "Write again from the rows what the log's storage lacks, or a static copy elsewhere."

    def add_arguments(self, parser: CommandParser) -> None:
        add_log_option(parser)
        parser.add_argument(
            "--to",
            metavar="DIR",
            type=Path,
            help="write one log into this folder, envelopes included, for any web server",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with ending():
            folder: Path | None = options["to"]
            if folder is not None:
                _check_apart(folder)
                [log] = asked_logs(options["log"] or current_log().origin)
                self.write(log, FolderStorage(folder.resolve()), envelopes=True)
                return
            for log in asked_logs(options["log"]):
                self.write(log, log_storage(log.place), envelopes=False)

    def write(self, log: Log, storage: LogStorage, *, envelopes: bool) -> None:
        with progress_of(log) as on_progress:
            size = rebuild(log, storage, on_progress, envelopes=envelopes)
        self.stdout.write(f"The files of the log {log.origin} are there, up to {size} entries.")


def _check_apart(folder: Path) -> None:
    if folder.resolve().is_relative_to(settings.LEDGER_DIR.resolve()):
        raise CommandError(
            f"{folder} is in the log's own folder, where a copy would count as damage: name "
            "another one.",
            returncode=2,
        )
