"""The registry's own auditor: it draws lots, replays, signs what it found, and has it logged.

A process of its own with a key of its own; it reads database and blobs, and runs models in jailed
children. One replay at a time; for more, start more of them: rows are claimed, and two auditors
draw the same lots. Killed at any instruction it leaves a lease that runs out, or nothing at all
(`services.replays.turns`, `services.replays.lots`).
"""

from __future__ import annotations

import logging
import threading
import time

from cryptography.hazmat.primitives.asymmetric import ec
from django.db import InterfaceError, OperationalError, connection

from assay.dsse import public_key_of
from inference.choices import Verdict
from inference.services.auditor_key import ensure_auditor_key
from inference.services.replays import lots, turns
from inference.services.replays.rerun import Found, NotYetError, rerun
from inference.services.replays.said import say
from ledger.errors import LedgerError
from registry.errors import RegistryError

IDLE_S = 1.0
LOOK_S = 5.0  # how often it looks for a checkpoint that draws lots
AWAY_S = 2.0
LATER_S = 5.0
EVERY = 4  # one claim in so many takes what lots fell on before what was asked for
log = logging.getLogger(__name__)


class StoppedError(Exception):
    """The process was told to end while it ran a replay."""


class Auditor:
    """One auditor; `step` does one thing. `interrupt` may be called by a signal handler."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        self._claims = 0
        self._looked_at: float | None = None
        self._runs = False
        self.fingerprint = public_key_of(key.public_key()).fingerprint

    def step(self) -> bool:
        """Draw lots when it is time to look, else run one replay; False when nothing waits.

        Raises:
            LedgerError: the log is not open, or takes nothing now.
        """
        now = time.monotonic()
        if self._looked_at is None or now - self._looked_at >= LOOK_S:
            if lots.draw() is not None:
                return True  # there may be more rounds to catch up with
            self._looked_at = now
        turn = turns.claim(drawn_first=self._claims % EVERY == EVERY - 1)
        if turn is None:
            return False
        self._claims += 1
        with turns.holding(turn):
            self._take(turn)
        return True

    def _take(self, turn: turns.Turn) -> None:
        execution = turn.replay.execution
        try:
            self._runs = True
            try:
                found = _lost() if turn.is_last else rerun(execution)
            finally:
                self._runs = False
            said = say(
                execution,
                self._key,
                verdict=found.verdict,
                runtime=found.runtime,
                output=found.output,
                reason=found.reason,
            )
            turns.finish(turn, said)
        except NotYetError:
            turns.give_back(turn, LATER_S)
        except (LedgerError, StoppedError):
            turns.give_back(turn, LATER_S)
            raise
        except turns.ReplayLostError:
            log.warning("replay %s belongs to another auditor now", turn.replay.pk)
        else:
            log.info("replayed %s: %s", execution.pk, found.verdict)

    def interrupt(self) -> None:
        """Leave the replay under way, if there is one.

        Raises:
            StoppedError: there is one.
        """
        if self._runs:
            raise StoppedError


def _lost() -> Found:
    reason = f"the auditor was lost {turns.MAX_ATTEMPTS} times while it ran this"
    return Found(verdict=Verdict.UNRUNNABLE, reason=reason)


class Loop:
    """Steps until `stop` is set, through every absence of database, log and storage."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._auditor: Auditor | None = None

    def run(self) -> None:
        """Audit until told to stop.

        Raises:
            MisuseError: the key file is unusable.
        """
        while not self._stop.is_set():
            try:
                if not self._step():
                    self._stop.wait(IDLE_S)
            except StoppedError:
                return
            except (InterfaceError, OperationalError, LedgerError, RegistryError, OSError) as error:
                log.warning("the auditor waits: %s", error)
                connection.close()
                self._stop.wait(AWAY_S)

    def end(self) -> None:
        """Stop; a replay under way is left and given back."""
        self._stop.set()
        if self._auditor is not None:
            self._auditor.interrupt()

    def _step(self) -> bool:
        if self._auditor is None:
            self._auditor = Auditor(ensure_auditor_key())
            log.info("auditor %s", self._auditor.fingerprint)
        return self._auditor.step()
