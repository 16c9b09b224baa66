"""`manage.py register_keys`: register the registry's own key."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from assay.errors import AssayError
from ledger.errors import LedgerError
from registry.services.own_key import ensure_registry_key


class Command(BaseCommand):
    """Make and register the registry's own key, unless that has happened."""

    help = "Make and register the registry's own key, unless that has happened."

    def handle(self, **_: Any) -> None:
        try:
            fingerprint, new = ensure_registry_key()
        except (AssayError, LedgerError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"registry key {fingerprint} {'registered' if new else 'is registered'}")
