"""Taking a claim into the log: steps 1 and 2 of the order of writes (`ledger.sequencer`).

All of it happens in the caller's transaction: the claim is logged exactly when what it is about is
stored. When that transaction has committed, the claim is durable and will get an index.
"""

from __future__ import annotations

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
from ledger.models import Entry, Log, Payload, Subject
from ledger.selectors import pending
from ledger.services.entries import entry_for_claim

MAX_PENDING = 4096
SUBJECT_NAME = 1024
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


def append(envelope: Envelope, key: PublicKey, statement: Statement, *, model: str = "") -> int:
    """Take the claim `envelope` by `key` and return the primary key of its entry.

    `statement` is the payload, parsed; `model` ("owner/name") finds the entry again on the ledger's
    pages. Call it inside `transaction.atomic()`; a refusal leaves that transaction usable.

    Raises:
        InvalidEnvelopeError: malformed, not signed by `key`, another statement, or a kind that
            this log does not take.
        DuplicateClaimError: `key` has logged this payload before, whatever the signature.
        LogFrozenError: the log takes no more entries.
        LogBusyError: too many entries wait, or the log is not open yet.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("append() belongs into the caller's transaction")
    kind = _check(envelope, key, statement)
    log = current_log()
    if log.frozen_at is not None:
        raise LogFrozenError(f"The log {log.origin} is frozen and takes no more entries.")
    if pending(log, MAX_PENDING) >= MAX_PENDING:
        raise LogBusyError("Too many entries wait for the log; try again in a moment.")
    entry = _insert(log, envelope, key, kind, model)
    Subject.objects.bulk_create(
        # A search index, not evidence: a foreign name may be cut.
        Subject(entry=entry, name=shown_name(subject), sha256=subject.sha256)
        for subject in searchable(statement)
    )
    return entry.pk


def searchable(statement: Statement) -> list[statements.Subject]:
    """Return the subjects by which an entry is found: those that have a SHA-256."""
    return [subject for subject in statement.subjects if subject.sha256]


def shown_name(subject: statements.Subject) -> str:
    """Return a subject's name as a row can keep it: cut, and without NULs."""
    return subject.name[:SUBJECT_NAME].replace("\0", "\N{REPLACEMENT CHARACTER}")


def _check(envelope: Envelope, key: PublicKey, statement: Statement) -> Kind:
    if len(envelope.payload) > LIMITS.statement:
        raise InvalidEnvelopeError(f"A statement is at most {LIMITS.statement} bytes.")
    try:
        verify_envelope(envelope, key)
        signed = parse_statement(envelope.payload)
    except (FormatError, VerificationError) as error:
        raise InvalidEnvelopeError(f"The envelope was refused: {error}.") from error
    if signed != statement:
        raise InvalidEnvelopeError("The envelope holds another statement.")
    kind = KINDS.get(statement.predicate_type)
    if kind is None:
        raise InvalidEnvelopeError(f"This log takes no {statement.predicate_type} statements.")
    return kind


def _insert(log: Log, envelope: Envelope, key: PublicKey, kind: Kind, model: str) -> Entry:
    pae_sha256 = envelope.pae_sha256
    body = rekor_body(pae_sha256, envelope.signature, key.spki)
    payload = Payload(
        pae_sha256=pae_sha256, payload_type=envelope.payload_type, payload=envelope.payload
    )
    # Create-only: what is there under this digest has the same bytes.
    Payload.objects.bulk_create([payload], ignore_conflicts=True)
    try:
        with transaction.atomic():
            return Entry.objects.create(
                log=log,
                payload=payload,
                signature=envelope.signature,
                public_key=key.spki,
                fingerprint=key.fingerprint,
                leaf_hash=leaf_hash(body),
                kind=kind,
                model=model,
            )
    except IntegrityError:
        # ECDSA signatures are malleable: the claim is key and payload, not the leaf.
        earlier = entry_for_claim(key.fingerprint, pae_sha256)
        if earlier is None:
            raise
        raise DuplicateClaimError(
            "This key has logged this statement before.", entry_id=earlier
        ) from None
