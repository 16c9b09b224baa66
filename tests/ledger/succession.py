"""One log after another in one installation: the settings that change, and what stays."""

from __future__ import annotations

from django.conf import settings as here
from pytest_django import Settings

from ledger import services as ledger
from ledger.models import Log
from ledger.services.freeze import freeze
from tests.ledger.shards import sequence_here

FIRST, NEXT = "localhost", "b.example.org"


def move(settings: Settings, origin: str = NEXT) -> None:
    """Set what an operator sets for a new log; its key's file is not there yet."""
    settings.LEDGER_ORIGIN = origin
    settings.LEDGER_URL = f"https://{origin}/log"
    settings.LEDGER_KEY = here.KEYS_DIR / f"{origin}.pem"
    settings.ALLOWED_HOSTS = ["*"]


def move_back(settings: Settings) -> None:
    """Set what was set for the first log."""
    move(settings, FIRST)
    settings.LEDGER_KEY = here.KEYS_DIR / "log.pem"


def follow_on(settings: Settings, origin: str = NEXT) -> Log:
    """Freeze the current log, finish it, and open the next one; return that."""
    freeze()
    sequence_here()
    move(settings, origin)
    ledger.ensure_log()
    return Log.objects.get(origin=origin)
