"""What became of one entry."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ledger.errors import NotIncludedError
from ledger.models import Entry
from ledger.policy import witness_policy
from ledger.selectors import cosigners, covering

POLL_S = 0.05


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


def wait_included(entry_id: int, timeout_s: float) -> bool:
    """Wait until a published checkpoint covers the entry; False when time ran out first.

    Call it outside any transaction: inside one, some isolation levels never see it happen.
    """
    deadline = time.monotonic() + timeout_s
    while not entry_status(entry_id).included:
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(POLL_S, left))
    return True
