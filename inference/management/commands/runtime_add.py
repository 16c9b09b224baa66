"""`manage.py runtime_add FOLDER`: keep a portable runtime, so that its receipts stay replayable."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from assay.errors import UnavailableError
from inference import runtimes


class Command(BaseCommand):
    """Copy the three files of a runtime into the folder of kept runtimes; print its digest."""

    help = "Keep a portable runtime by the digest of its files; executors start it when asked."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the argument."""
        parser.add_argument("folder", type=Path, help="folder with the runtime's three files")

    def handle(self, *args: Any, **options: Any) -> None:
        """Add, and print the digest."""
        try:
            kept = runtimes.add(options["folder"])
        except (OSError, UnavailableError) as error:
            raise CommandError(f"The runtime was not added: {error}") from error
        runtime = kept.runtime
        self.stdout.write(f"{runtime.digest}  {runtime.name} {runtime.version}")
