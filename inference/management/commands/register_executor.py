"""`manage.py register_executor`: put the executor's key into registry and ledger."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from inference.client import ExecutorError, ExecutorUnavailableError
from inference.services.enrolment import enrol
from ledger.errors import LedgerError
from registry.errors import RegistryError


class Command(BaseCommand):
    """Ask the executor to sign the registration of its key; harmless when it is registered."""

    help = "Register the executor's signing key in the registry and the ledger."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--name", default="", help="what people call this executor")

    def handle(self, *args: Any, **options: Any) -> None:
        """Register, and print the fingerprint."""
        try:
            fingerprint = enrol(name=options["name"])
        except (ExecutorError, ExecutorUnavailableError) as error:
            raise CommandError(f"The executor did not answer: {error}") from error
        except (LedgerError, RegistryError) as error:
            raise CommandError(error.message) from error
        self.stdout.write(fingerprint)
