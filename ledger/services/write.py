"""Taking in what a stock Rekor client asks to be logged.

What is checked, in this order; the cheap and the harmless come first:

1. The key is registered, and counts now.
2. The claim (key and digest) is not in the log. If it is, that is the answer, at no cost to the
   key: signatures are public, so anybody can repeat a request.
3. The statement under the digest is stored.
4. The statement is strictly of its kind, and one that this key may sign.
5. The key's rate. From here on the key's holder did sign something new for this log.
6. `append`: the log is open, not held, and not too far behind.

Commit point: one transaction with the entry, its payload and the removal of the staged row. A
crash before it leaves the staged statement; a crash after it, or an answer that is lost on the way,
leaves a claim that will get its index, and the same request finds it (step 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction

from assay.dsse import Envelope
from assay.rekor import CreateEntry
from ledger.errors import DuplicateClaimError
from ledger.models import Entry, StagedPayload
from ledger.services import rates
from ledger.services.append import append
from ledger.services.registered import check_may, find_registered
from ledger.services.staging import check_statement, find_payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """The entry of a claim: `index` is None while it is pending, `new` when this call made it."""

    entry_id: int
    index: int | None
    new: bool


def submit(entry: CreateEntry, now: datetime) -> Submitted:
    """Take in `entry`, whose signature `parse_create_entry` has checked.

    Call it outside any transaction.

    Raises:
        UnregisteredKeyError, KeyMayNotError: the key does not count, or not for this.
        PayloadMissingError, InvalidEnvelopeError: the statement is not stored, or no statement of
            this log.
        TooManyClaimsError: the key asks too fast.
        LogFrozenError, LogBusyError, LogHeldError, LogStoppedError: nothing is taken in now.
    """
    fingerprint = entry.key.fingerprint
    registered = find_registered(fingerprint)
    earlier = Entry.objects.filter(fingerprint=fingerprint, payload=entry.digest).first()
    if earlier is not None:
        return Submitted(entry_id=earlier.pk, index=earlier.index, new=False)
    envelope = Envelope(payload=find_payload(entry.digest), signature=entry.signature)
    statement = check_statement(envelope.payload)
    check_may(registered, statement)
    rates.take(f"claim:{fingerprint}", settings.LEDGER_KEY_RATE, now)
    try:
        with transaction.atomic():
            entry_id = append(envelope, entry.key, statement)
            StagedPayload.objects.filter(pk=entry.digest).delete()
    except DuplicateClaimError as error:  # the same request twice at once
        return Submitted(entry_id=error.entry_id, index=None, new=False)
    return Submitted(entry_id=entry_id, index=None, new=True)
