"""What became of one entry."""

from __future__ import annotations

import time
from dataclasses import dataclass

from django.db.models import Exists, OuterRef

from ledger.choices import LeaderState
from ledger.errors import NotIncludedError
from ledger.models import Checkpoint, Entry, Log
from ledger.policy import witness_policy
from ledger.selectors import cosigners, covering
from ledger.services.state import ABSENT, log_state

POLL_S, LAZY_POLL_S = 0.05, 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryStatus:
    """Where an entry stands.

    `index` is None while it is pending. `checkpoint_size` is the tree that its receipt would be
    proved against and `witnesses` how many cosigned that; None and 0 while it is not `included`.
    """

    index: int | None
    included: bool
    checkpoint_size: int | None
    witnesses: int


def find_entry(entry_id: int) -> Entry:
    """Return an entry with its log.

    Raises:
        NotIncludedError: the log has no such entry.
    """
    entry = Entry.objects.select_related("log").filter(pk=entry_id).first()
    if entry is None:
        raise NotIncludedError("The log has no such entry.")
    return entry


def entry_status(entry_id: int) -> EntryStatus:
    """Return where the entry stands; `NotIncludedError` when there is none."""
    entry = find_entry(entry_id)
    checkpoint = covering(entry)
    if checkpoint is None:
        return EntryStatus(index=entry.index, included=False, checkpoint_size=None, witnesses=0)
    return EntryStatus(
        index=entry.index,
        included=True,
        checkpoint_size=checkpoint.size,
        witnesses=len(cosigners(witness_policy(), checkpoint)),
    )


def entry_for_claim(fingerprint: str, pae_sha256: bytes) -> int | None:
    """Return the entry in which the key `fingerprint` (hex) logged the payload, or None."""
    rows = Entry.objects.filter(fingerprint=fingerprint, payload=pae_sha256)
    return rows.values_list("pk", flat=True).first()


def entry_of_payload(pae_sha256: bytes) -> Entry | None:
    """Return the first entry over the payload whose PAE has this SHA-256, None without one."""
    rows = Entry.objects.select_related("log").filter(payload=pae_sha256)
    return rows.order_by("pk").first()


def wait_included(entry_id: int, timeout_s: float) -> bool:
    """Wait until a published checkpoint covers the entry; False when it will not be in time.

    That is so when the time is over, and at once when the sequencer has died, or says that it is
    held or has stopped: a web server that waits for nothing would soon have no thread left.

    Call it outside any transaction: inside one, some isolation levels never see it happen.

    Raises:
        NotIncludedError: the log has no such entry.
    """
    log = find_entry(entry_id).log
    deadline = time.monotonic() + timeout_s
    pause_s = POLL_S
    while not _included(entry_id):
        left_s = deadline - time.monotonic()
        if left_s <= 0 or _is_hopeless(log):
            return False
        time.sleep(min(pause_s, left_s))
        pause_s = min(pause_s * 1.5, LAZY_POLL_S)
    return True


def _included(entry_id: int) -> bool:
    # One query: every waiter asks it several times in a second.
    larger = Checkpoint.objects.filter(
        log=OuterRef("log"), size__gt=OuterRef("index"), published_at__isnull=False
    )
    return Entry.objects.filter(Exists(larger), pk=entry_id).exists()


def _is_hopeless(log: Log) -> bool:
    state = log_state(log)
    if state.state == ABSENT:  # no sequencer has led this log yet: one is just starting
        return False
    return state.state != LeaderState.LEADING or not state.alive
