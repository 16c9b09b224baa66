from __future__ import annotations

from django.apps import AppConfig


class LedgerConfig(AppConfig):
    """The application, as Django knows it."""

    name = "ledger"

    def ready(self) -> None:
        from django.core.checks import register

        from ledger.checks import check_ledger

        register(check_ledger)
