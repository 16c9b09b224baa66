from __future__ import annotations

from django.apps import AppConfig


class LedgerConfig(AppConfig):
    """The application, as Django knows it."""

    name = "ledger"

    def ready(self) -> None:
        from ledger import checks  # noqa: F401 (importing registers them)
