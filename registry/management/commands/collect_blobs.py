from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from registry.services.collection import collect


class Command(BaseCommand):
    """Take away content that nothing names."""

    help = "Take away stored content that no revision names, after its grace."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count, and take nothing away")
        parser.add_argument("--grace-hours", type=float, help="instead of COLLECT_GRACE_HOURS")

    def handle(self, *args: Any, **options: Any) -> None:
        hours = options["grace_hours"]
        if hours is not None and hours < 0:
            raise CommandError("--grace-hours is not negative")
        grace = None if hours is None else timedelta(hours=hours)
        done = collect(dry_run=options["dry_run"], grace=grace)
        word = "would go" if options["dry_run"] else "went"
        self.stdout.write(
            f"{done.blobs} contents ({done.bytes} bytes) {word}, {done.strays} files without a "
            f"row, {done.charges} charges; {done.put_back} put back"
        )
