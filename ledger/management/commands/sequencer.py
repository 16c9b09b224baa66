from __future__ import annotations

import logging
import threading
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error, connection

from assay.told import until_told
from ledger.choices import LeaderState
from ledger.errors import LedgerError, LogDamagedError, LogStoppedError
from ledger.keys import load_log_key
from ledger.leadership import Candidate, DeposedError, beating, begin_term, leadership, tell
from ledger.logs import current_log
from ledger.sequencer import Sequencer, hold_reason
from ledger.services.freeze import ABANDONED
from ledger.services.opening import ensure_log
from ledger.services.state import log_state
from ledger.storage import LogStorage, log_storage
from ledger.witnesses import Asking

log = logging.getLogger(__name__)


class Command(BaseCommand):
    """Give entries their place in the log, until SIGTERM. Of several, one leads and others wait.

    What this process says of itself (row `Leader`): leading; held, with the reason, while it waits
    for a better time; stopped, with the reason, when it ends because of damage.
    """

    help = "Sequence pending entries, sign checkpoints, collect cosignatures, publish."
    hold_s = 5.0

    def handle(self, *args: Any, **options: Any) -> None:
        self.asking = Asking(settings.WITNESS_INTERVAL_S)
        try:
            with until_told(patient=True) as stop:
                ensure_log()
                self.take_turns(stop)
        except LedgerError as error:
            log.critical("the sequencer stops: %s", error)
            raise CommandError(f"The sequencer stops: {error}") from error
        except Error as error:
            if connection.is_usable():
                raise
            raise CommandError(
                f"The sequencer ends: the database does not answer: {error}"
            ) from error
        finally:
            self.asking.cut_all()
            connection.close()

    def take_turns(self, stop: threading.Event) -> None:
        """Lead when nobody else does, and wait while somebody does."""
        candidate = Candidate(settings.LEDGER_ORIGIN)
        while not stop.is_set():
            with leadership(settings.LEDGER_ORIGIN) as leads:
                if leads:
                    try:
                        self.lead(stop)
                    except DeposedError as error:
                        log.warning("deposed: %s", error)
            if leads or not candidate.depose_silent():
                stop.wait(settings.LEDGER_INTERVAL_MS / 1000)

    def lead(self, stop: threading.Event) -> None:
        if log_state().reason == ABANDONED:
            raise LogStoppedError(
                f"the log {settings.LEDGER_ORIGIN} was abandoned, and no sequencer writes it. Set "
                "LEDGER_ORIGIN to that of the log that goes on."
            )
        term = begin_term(settings.LEDGER_ORIGIN)
        log.info("term %s of the log %s begins here", term, settings.LEDGER_ORIGIN)
        with beating(settings.LEDGER_ORIGIN, term) as ended:
            try:
                self.write(term, stop, ended)
            except LogDamagedError as error:
                tell(settings.LEDGER_ORIGIN, term, LeaderState.STOPPED, error.message)
                raise

    def write(self, term: int, stop: threading.Event, ended: threading.Event) -> None:
        """Write the log. After a hold nothing in memory is believed: a fresh sequencer recovers."""
        writer: Sequencer | None = None
        while not stop.is_set():
            if ended.is_set():
                raise DeposedError("The heartbeat met a later term.")
            started = time.monotonic()
            try:
                if writer is None:
                    fresh = self.recovered(term)
                    tell(settings.LEDGER_ORIGIN, term, LeaderState.LEADING)
                    writer = fresh
                taken = writer.cycle()
            except (LedgerError, OSError) as error:
                reason = hold_reason(error)
                if reason is None:
                    raise
                writer = None
                log.error("the log waits: %s (%s)", reason, error)
                tell(settings.LEDGER_ORIGIN, term, LeaderState.HELD, reason)
                stop.wait(self.hold_s)
                continue
            if taken < settings.LEDGER_BATCH:
                stop.wait(max(0.0, started + settings.LEDGER_INTERVAL_MS / 1000 - time.monotonic()))

    def recovered(self, term: int) -> Sequencer:
        """Return a sequencer that has finished what was begun, at a time when the log may grow."""
        sequencer = Sequencer(
            settings.LEDGER_ORIGIN,
            storage=self.storage(),
            key=load_log_key(settings.LEDGER_KEY),
            term=term,
            asking=self.asking,
        )
        sequencer.recover()
        sequencer.check_times()
        return sequencer

    def storage(self) -> LogStorage:
        return log_storage(current_log().place)
