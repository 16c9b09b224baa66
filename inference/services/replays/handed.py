"""Replay statements of other auditors: anybody whose key is registered with the role auditor.

Commit point: one transaction with the ledger entry and the row, which is born done. Before it
nothing is shown; after it a repetition finds the row. A statement that its signer has logged
already, through the log's own interfaces, gets its row and no second entry.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from assay.dsse import Envelope, verify_envelope
from assay.errors import AssayError
from assay.statements import ReplayPredicate, Statement, parse_predicate, parse_statement
from inference.choices import ExecutionState, ReplaySource, ReplayState
from inference.errors import BadReplayError, NotReplayableError
from inference.models import Execution, Replay
from inference.selectors import find
from inference.services.replays.said import check
from inference.services.replays.turns import Said, columns, log_claim
from ledger.services import rates
from ledger.services.registered import RegisteredKey, check_may, find_registered
from registry.rights import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """The row of a statement that was handed in; `new` when this call made it."""

    replay: Replay
    new: bool


def submit_replay(envelope: Envelope, fingerprint: str, user: Caller) -> Handed:
    """Take a replay statement that the registered key `fingerprint` (hex) signed.

    Raises:
        UnregisteredKeyError, KeyMayNotError: (the ledger's) the key does not count, or is none of
            an auditor.
        BadReplayError: not a replay statement, not that key's, or not about what is here.
        UnknownExecutionError: `user` may know of no such execution.
        NotReplayableError: it has no receipt.
        TooManyClaimsError: (the ledger's) the key hands in too much.
        LedgerError: the log takes no entry now.
    """
    registered = find_registered(fingerprint)
    statement, predicate = _read(envelope, registered)
    check_may(registered, statement)
    execution = find(predicate.execution, user)
    if execution.state != ExecutionState.SUCCEEDED:
        raise NotReplayableError("This execution has no receipt.", state=execution.state)
    earlier = _earlier(execution, fingerprint, envelope)
    if earlier is not None:
        return Handed(replay=earlier, new=False)
    check(execution, statement, predicate)
    rates.take(f"claim:{fingerprint}", settings.LEDGER_KEY_RATE, timezone.now())
    said = Said(
        envelope=envelope,
        key=registered.key,
        statement=statement,
        predicate=predicate,
        reason="",
    )
    with transaction.atomic():
        entry = log_claim(said, execution.model_name)
        # The entry is locked by nobody: a second request of this moment waits here.
        Execution.objects.select_for_update().only("pk").get(pk=execution.pk)
        earlier = _earlier(execution, fingerprint, envelope)
        if earlier is not None:
            return Handed(replay=earlier, new=False)
        now = timezone.now()
        row = Replay.objects.create(
            execution=execution,
            source=ReplaySource.SUBMITTED,
            requested_by_id=user.pk if user is not None and user.is_authenticated else None,
            state=ReplayState.DONE,
            available_at=now,
            finished_at=now,
            entry_id=entry,
            **columns(said),
        )
    return Handed(replay=row, new=True)


def _read(envelope: Envelope, registered: RegisteredKey) -> tuple[Statement, ReplayPredicate]:
    try:
        verify_envelope(envelope, registered.key)
        statement = parse_statement(envelope.payload)
        predicate = parse_predicate(statement)
    except AssayError as error:
        raise BadReplayError(f"The envelope was refused: {error}.") from error
    if not isinstance(predicate, ReplayPredicate):
        raise BadReplayError(
            "The envelope holds no replay statement.",
            field="predicateType",
            expected=ReplayPredicate.TYPE,
            found=statement.predicate_type,
        )
    return statement, predicate


def _earlier(execution: Execution, fingerprint: str, envelope: Envelope) -> Replay | None:
    rows = Replay.objects.filter(execution=execution, auditor=fingerprint)
    return rows.filter(entry__payload=envelope.pae_sha256).select_related("entry").first()
