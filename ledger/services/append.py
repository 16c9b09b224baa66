"""Taking a claim into the log: steps 1 and 2 of the order of writes (`ledger.sequencer`).

All of it happens in the caller's transaction: the claim is logged exactly when what it is about is
stored. Commit point: the caller's commit. A crash before it leaves nothing; after it the claim is
durable and will get an index, and a repetition finds it.

Whether the log is frozen is read once for a clear answer, but a freeze may be committed right after
that: the last word is a trigger, which holds the log's row until the caller has committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import IntegrityError, connection, transaction

from assay import statements
from assay.dsse import Envelope, PublicKey, rekor_body, verify_envelope
from assay.errors import FormatError, VerificationError
from assay.limits import LIMITS
from assay.merkle import leaf_hash
from assay.statements import (
    ALIAS,
    CARD,
    EXECUTION,
    KEY,
    MODERATION,
    OMS,
    RELEASE,
    REPLAY,
    Statement,
    parse_statement,
)
from ledger.choices import Kind
from ledger.errors import DuplicateClaimError, InvalidEnvelopeError, LogBusyError, LogFrozenError
from ledger.logs import current_log
from ledger.models import Log
from ledger.selectors import pending
from ledger.services.entries import entry_for_claim
from ledger.services.rows import Row, calm_log, write
from ledger.services.state import check_growing

MAX_PENDING = 4096
SUBJECT_NAME, MODEL_NAME, OWNER_NAME = 1024, 200, 100
KINDS = {
    OMS: Kind.MODEL_SIGNATURE,
    RELEASE: Kind.RELEASE,
    CARD: Kind.CARD,
    ALIAS: Kind.ALIAS,
    EXECUTION: Kind.EXECUTION,
    REPLAY: Kind.REPLAY,
    KEY: Kind.KEY,
    MODERATION: Kind.MODERATION,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewClaim:
    """What shall be logged: an envelope, the key that signed it, and its payload, parsed.

    `model` ("owner/name") finds the entry again; `""` takes what the statement says. `checked`:
    this process has just verified the signature under `key` and parsed `statement` out of the
    payload; both need not be done twice.
    """

    envelope: Envelope
    key: PublicKey
    statement: Statement
    model: str = ""
    checked: bool = False


def append(envelope: Envelope, key: PublicKey, statement: Statement, *, model: str = "") -> int:
    """Take the claim `envelope` by `key` and return the primary key of its entry.

    `statement` is the payload, parsed; `model` ("owner/name") finds the entry again on the ledger's
    pages, `""` takes the model that the statement names. Call it inside `transaction.atomic()`; a
    refusal leaves that transaction usable.

    Raises:
        InvalidEnvelopeError: malformed, not signed by `key`, another statement, or a kind that
            this log does not take.
        DuplicateClaimError: `key` has logged this payload before, whatever the signature.
        LogFrozenError: the log takes no more entries.
        LogHeldError: it takes none for the moment: its disk is full, its clock is wrong.
        LogStoppedError: it takes none until its operator has looked.
        LogBusyError: too many entries wait, or the log is not open yet.
    """
    claim = NewClaim(envelope=envelope, key=key, statement=statement, model=model)
    return append_many([claim])[0]


def append_many(claims: Sequence[NewClaim]) -> list[int]:
    """Take all of `claims`, or none; return the primary keys of their entries, in that order.

    As `append`, with a handful of statements for all together. A claim that stands twice in the
    list is an `InvalidEnvelopeError`.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("append() belongs into the caller's transaction")
    kinds = [_check(claim) for claim in claims]
    _check_distinct(claims)
    log_id = calm_log(settings.LEDGER_ORIGIN, MAX_PENDING)
    if log_id is None:
        log_id = _open_log().pk
    rows = [_row(claim, kind) for claim, kind in zip(claims, kinds, strict=True)]
    try:
        with transaction.atomic():
            return write(log_id, rows)
    except IntegrityError as error:
        raise _refusal(rows, error) from error


def searchable(statement: Statement) -> list[statements.Subject]:
    """Return the subjects by which an entry is found: those that have a SHA-256."""
    return [subject for subject in statement.subjects if subject.sha256]


def shown_name(subject: statements.Subject) -> str:
    """Return a subject's name as a row can keep it: cut, and without NULs."""
    return _shown(subject.name, SUBJECT_NAME)


def model_of(statement: Statement, model: str = "") -> str:
    """Return the model by which an entry is found: `model`, else what the statement names."""
    said = model or statement.predicate.get("model")
    return _shown(said, MODEL_NAME) if isinstance(said, str) else ""


def owner_of(statement: Statement, model: str) -> str:
    """Return whose entry this is: a key statement names the owner, a model's name begins so."""
    owner = statement.predicate.get("owner") if statement.predicate_type == KEY else None
    return _shown(owner if isinstance(owner, str) else model.partition("/")[0], OWNER_NAME)


def _shown(text: str, length: int) -> str:
    return text[:length].replace("\0", "\N{REPLACEMENT CHARACTER}")


# ---------------------------------------------------------------- checks


def _check(claim: NewClaim) -> Kind:
    envelope, statement = claim.envelope, claim.statement
    if len(envelope.payload) > LIMITS.statement:
        raise InvalidEnvelopeError(f"A statement is at most {LIMITS.statement} bytes.")
    if not claim.checked:
        _check_signed(claim)
    kind = KINDS.get(statement.predicate_type)
    if kind is None:
        raise InvalidEnvelopeError(f"This log takes no {statement.predicate_type} statements.")
    return kind


def _check_signed(claim: NewClaim) -> None:
    try:
        verify_envelope(claim.envelope, claim.key)
        signed = parse_statement(claim.envelope.payload)
    except (FormatError, VerificationError) as error:
        raise InvalidEnvelopeError(f"The envelope was refused: {error}.") from error
    if signed != claim.statement:
        raise InvalidEnvelopeError("The envelope holds another statement.")


def _check_distinct(claims: Sequence[NewClaim]) -> None:
    first: dict[tuple[bytes, bytes], int] = {}
    for number, claim in enumerate(claims):
        earlier = first.setdefault((claim.key.spki, claim.envelope.payload), number)
        if earlier != number:
            raise InvalidEnvelopeError(f"Claims {earlier} and {number} of the list are the same.")


def _open_log() -> Log:
    log = current_log()
    if log.frozen_at is not None:
        raise _frozen(log)
    check_growing(log)
    if pending(log, MAX_PENDING) >= MAX_PENDING:
        raise LogBusyError("Too many entries wait for the log; try again in a moment.")
    return log


def _frozen(log: Log) -> LogFrozenError:
    on = f" The log {log.successor} goes on." if log.successor else ""
    return LogFrozenError(f"The log {log.origin} is frozen and takes no more entries.{on}")


# ---------------------------------------------------------------- rows


def _row(claim: NewClaim, kind: Kind) -> Row:
    envelope, key = claim.envelope, claim.key
    pae_sha256 = envelope.pae_sha256
    model = model_of(claim.statement, claim.model)
    return Row(
        pae_sha256=pae_sha256,
        payload_type=envelope.payload_type,
        payload=envelope.payload,
        signature=envelope.signature,
        public_key=key.spki,
        fingerprint=key.fingerprint,
        leaf_hash=leaf_hash(rekor_body(pae_sha256, envelope.signature, key.spki)),
        kind=kind,
        model=model,
        owner=owner_of(claim.statement, model),
        # A search index, not evidence: a foreign name may be cut.
        subjects=[(shown_name(one), one.sha256) for one in searchable(claim.statement)],
    )


def _refusal(rows: Sequence[Row], error: IntegrityError) -> Exception:
    """Return what the database's refusal means; `error` itself when it means nothing known."""
    if "the log is frozen" in str(error):
        return _frozen(current_log())
    for row in rows:
        # ECDSA signatures are malleable: the claim is key and payload, not the leaf.
        earlier = entry_for_claim(row.fingerprint, row.pae_sha256)
        if earlier is not None:
            return DuplicateClaimError(
                "This key has logged this statement before.", entry_id=earlier
            )
    return error
