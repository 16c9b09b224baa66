from __future__ import annotations

import logging
import signal
import threading
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from ledger.errors import LedgerError, LogHeldError
from ledger.keys import load_log_key
from ledger.sequencer import Sequencer, leadership
from ledger.services.opening import ensure_log
from ledger.storage import LogStorage, log_storage

log = logging.getLogger(__name__)


class Command(BaseCommand):
    """Give entries their place in the log, until SIGTERM. Of several, one leads and others wait."""

    help = "Sequence pending entries, sign checkpoints, collect cosignatures, publish."
    hold_s = 5.0

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        before = {
            number: signal.signal(number, lambda *_: stop.set())
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            ensure_log()
            while not stop.is_set():
                with leadership(settings.LEDGER_ORIGIN) as leads:
                    if leads:
                        self.lead(stop)
                stop.wait(settings.LEDGER_INTERVAL_MS / 1000)
        except LedgerError as error:
            raise CommandError(f"The sequencer stops: {error}") from error
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            connection.close()

    def lead(self, stop: threading.Event) -> None:
        key = load_log_key(settings.LEDGER_KEY)
        sequencer = Sequencer(settings.LEDGER_ORIGIN, storage=self.storage(), key=key)
        sequencer.recover()
        log.info("sequencer of %s leads", settings.LEDGER_ORIGIN)
        while not stop.is_set():
            started = time.monotonic()
            try:
                taken = sequencer.cycle()
            except LogHeldError as error:
                log.error("the log waits: %s", error)
                stop.wait(self.hold_s)
                continue
            if taken < settings.LEDGER_BATCH:
                stop.wait(max(0.0, started + settings.LEDGER_INTERVAL_MS / 1000 - time.monotonic()))

    def storage(self) -> LogStorage:
        return log_storage()
