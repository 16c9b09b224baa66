from __future__ import annotations

import argparse
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from assay.errors import MisuseError
from ledger.choices import LeaderState
from ledger.errors import LedgerError
from ledger.logs import current_log, log_of
from ledger.models import Log
from ledger.services.freeze import COUNTED, Ending, abandon, ending, freeze
from ledger.services.state import ABSENT, LogState, log_state

POLL_S = 0.25


class Command(BaseCommand):
    """End the current log, then wait for its last checkpoint. Safe to run again: it waits on.

    Exit 0 when the log has ended, 1 when nothing was changed, 3 when it is frozen and its end could
    not be seen in time.
    """

    help = "End the current log for ever, with a last checkpoint that covers all it has."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--successor", metavar="ORIGIN", default="", help="The origin of the log that goes on."
        )
        parser.add_argument("--yes", action="store_true", help="Do not ask.")
        parser.add_argument(
            "--wait",
            metavar="SECONDS",
            type=float,
            default=60.0,
            help="How long to wait for the last checkpoint and its witnesses (default: 60).",
        )
        parser.add_argument(
            "--abandon",
            action="store_true",
            help="Let no sequencer finish it: for a log that is damaged, or was restored.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            log = current_log()
            if not options["yes"]:
                self.confirm(log, options["abandon"])
            log = freeze(options["successor"])
        except (LedgerError, MisuseError) as error:
            raise CommandError(f"Nothing was changed: {error}") from error
        self.stdout.write(
            f"The log {log.origin} is frozen since {log.frozen_at:%Y-%m-%d %H:%M:%S}."
        )
        try:
            if options["abandon"]:
                if not ending(log.origin).complete:
                    abandon(log.origin)
                self.tell_abandoned(log, ending(log.origin))
            else:
                self.tell(log_of(log.origin), self.wait(log.origin, options["wait"]))
        except LedgerError as error:
            raise CommandError(f"Its end cannot be seen: {error}", returncode=3) from error

    def confirm(self, log: Log, abandoned: bool) -> None:
        """Ask for the origin, unless this changes nothing any more."""
        if log.frozen_at is not None and not abandoned:
            return
        self.stdout.write(
            f"The log {log.origin} will never take an entry again, and nobody can undo that. "
            "Publishing and inference are refused until a new log is opened."
        )
        try:
            typed = input(f"Type {log.origin} to go on: ")
        except EOFError:
            typed = ""
        if typed.strip() != log.origin:
            raise CommandError("Nothing was changed: the origin was not typed.")

    def wait(self, origin: str, seconds: float) -> Ending:
        """Return the ending once it is one, or where nothing is left to hope for."""
        until = time.monotonic() + seconds
        with Console(stderr=True).status("Waiting for the last checkpoint") as shown:
            while not (found := ending(origin)).ended:
                state = log_state(log_of(origin))
                missing = _missing(found, state)
                shown.update(f"Waiting: {missing}")
                if state.state == LeaderState.STOPPED or time.monotonic() >= until:
                    raise CommandError(
                        f"Its end cannot be seen yet: {missing}. Run this command again to go on "
                        "waiting.",
                        returncode=3,
                    )
                time.sleep(POLL_S)
        return found

    def tell(self, log: Log, found: Ending) -> None:
        self.stdout.write(f"The log {log.origin} has ended.")
        self.stdout.write(f"  size       {found.size}")
        self.stdout.write(f"  root       {found.root.hex()}")
        self.stdout.write(f"  witnesses  {_witnesses(found)}")
        if log.successor:
            self.stdout.write(
                f"The log {log.successor} goes on: set LEDGER_ORIGIN, LEDGER_URL, and LEDGER_KEY "
                "to the path of a new file, then restart every process."
            )

    def tell_abandoned(self, log: Log, found: Ending) -> None:
        more = "or more " if found.waiting == COUNTED else ""
        self.stdout.write(
            f"The log {log.origin} stays as it is: its checkpoint covers {found.covered} entries, "
            f"and {found.waiting} {more}have no place in it and never will."
        )


def _missing(found: Ending, state: LogState) -> str:
    """Return in words what the end still lacks, and why it may not come."""
    if found.writing:
        lacks = "entries that were taken in before are still being written"
    elif found.waiting:
        lacks = f"{found.waiting} entries wait for their place"
    elif found.covered != found.size:
        lacks = f"the newest checkpoint covers {found.covered} of {found.size} entries"
    elif not found.shown:
        lacks = "readers do not see the last checkpoint yet"
    else:
        signed = len(found.witnessing.signed)
        lacks = (
            f"{signed} of {found.witnessing.asked} witnesses cosigned the last checkpoint, which "
            f"is no quorum ({found.witnessing.needed} needed)"
        )
    if state.state in (LeaderState.STOPPED, LeaderState.HELD):
        return f"{lacks}; the sequencer is {state.state}: {state.reason}"
    if state.state == ABSENT or not state.alive:
        return f"{lacks}; no sequencer runs"
    return lacks


def _witnesses(found: Ending) -> str:
    who = found.witnessing
    if not who.asked:
        return "none is asked: that this was the last tree, only this site says"
    names = ", ".join(one.name for one in who.signed) or "nobody"
    needed = f"{who.needed} needed" if who.needed else "the policy needs none"
    return f"{len(who.signed)} of {who.asked} signed ({needed}): {names}"
