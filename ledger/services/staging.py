"""Payload first: statements that are handed in before the entry that will name them.

A Rekor request carries only a digest, and the log takes no leaf whose content cannot be had. So the
statement comes first, and waits here under the SHA-256 of its PAE until somebody logs it.

Commit point: the insert of the row, create-only, which moves nothing else. A crash before it loses
a statement that nobody was told is here; one after it costs nothing: a repetition finds the row.
What nobody logs within a day is swept (`ledger.tasks`); handing it in again starts another day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from assay.canonical import as_object, as_text, decode_base64, parse_json
from assay.digests import sha256
from assay.dsse import PAYLOAD_TYPE, pae, parse_envelope, verify_envelope
from assay.errors import AssayError, VerificationError
from assay.limits import LIMITS
from assay.manifest import OMS, parse_oms
from assay.statements import KEY, Statement, parse_predicate, parse_statement
from ledger.errors import (
    InvalidEnvelopeError,
    KeyMayNotError,
    PayloadMissingError,
    TooManyClaimsError,
)
from ledger.models import Payload, StagedPayload
from ledger.services import rates
from ledger.services.append import KINDS
from ledger.services.heads import is_checkpoint
from ledger.services.registered import check_may, find_registered

MAX_STAGED = 256
SWEPT_IN_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """A payload that is here; `new` when this call brought it."""

    pae_sha256: bytes
    new: bool


def stage_signed(body: bytes, fingerprint: str, now: datetime) -> Staged:
    """Take an envelope that the registered key `fingerprint` (hex) signed.

    Raises:
        UnregisteredKeyError, KeyMayNotError: the key does not count, or not for this.
        InvalidEnvelopeError: not an envelope, not this key's, or not a statement of this log.
        TooManyClaimsError: the key asks too fast, or too much of it waits to be logged.
    """
    registered = find_registered(fingerprint)
    try:
        envelope = parse_envelope(parse_json(body))
        verify_envelope(envelope, registered.key)
    except AssayError as error:
        raise InvalidEnvelopeError(f"The envelope was refused: {error}.") from error
    statement = check_statement(envelope.payload)
    check_may(registered, statement)
    return _stage(envelope.payload, statement, f"key:{fingerprint}", now)


def stage_unsigned(body: bytes, person: str, now: datetime) -> Staged:
    """Take an envelope without a signature from a person who has signed in (`user:<id>`).

    Raises:
        InvalidEnvelopeError: not an envelope, signed, or not a statement of this log.
        KeyMayNotError: a statement about a key, which the registry takes.
        TooManyClaimsError: the person asks too fast, or too much of theirs waits to be logged.
    """
    try:
        payload = _parse_unsigned(body)
    except AssayError as error:
        raise InvalidEnvelopeError(f"The envelope was refused: {error}.") from error
    statement = check_statement(payload)
    if statement.predicate_type == KEY:
        raise KeyMayNotError(
            "Keys are registered and revoked on the site or through its REST API, not here."
        )
    return _stage(payload, statement, person, now)


def _parse_unsigned(body: bytes) -> bytes:
    fields = as_object(parse_json(body), "", required=("payload", "payloadType", "signatures"))
    if fields["signatures"] != []:
        raise VerificationError(
            "it is signed: name the key with ?key=<fingerprint>, or hand it in without signatures"
        )
    kind = as_text(fields["payloadType"], "payloadType")
    if kind != PAYLOAD_TYPE:
        raise VerificationError("another payload type", expected=PAYLOAD_TYPE, found=kind[:100])
    return decode_base64(fields["payload"], "payload")


def check_statement(payload: bytes) -> Statement:
    """Return the statement in `payload`, read with all the strictness of its kind.

    Raises:
        InvalidEnvelopeError: too long, not a statement, a kind that this log does not take, or a
            predicate that is not the form of its kind.
    """
    if len(payload) > LIMITS.statement:
        raise InvalidEnvelopeError(f"A statement is at most {LIMITS.statement} bytes.")
    try:
        statement = parse_statement(payload)
        if statement.predicate_type not in KINDS:
            raise InvalidEnvelopeError(f"This log takes no {statement.predicate_type} statements.")
        if statement.predicate_type == OMS:
            parse_oms(statement)
        else:
            parse_predicate(statement)
    except AssayError as error:
        raise InvalidEnvelopeError(f"The statement was refused: {error}.") from error
    return statement


def _stage(payload: bytes, statement: Statement, who: str, now: datetime) -> Staged:
    digest = sha256(pae(payload))
    if Payload.objects.filter(pk=digest).exists():
        return Staged(pae_sha256=digest, new=False)
    if StagedPayload.objects.filter(pk=digest).update(created_at=now):
        return Staged(pae_sha256=digest, new=False)
    _check_observed(statement)
    # Counted last: a repetition of what is here already, which anybody who saw it can send, takes
    # nothing from its signer.
    rates.take(f"stage:{who}", settings.LEDGER_KEY_RATE, now)
    if StagedPayload.objects.filter(staged_by=who)[:MAX_STAGED].count() >= MAX_STAGED:
        raise TooManyClaimsError(
            f"{MAX_STAGED} statements wait to be logged: log them first, or wait until they are "
            "swept, a day after they came.",
            retry_after_s=SWEPT_IN_S,
        )
    row = StagedPayload(
        pae_sha256=digest, payload_type=PAYLOAD_TYPE, payload=payload, staged_by=who
    )
    StagedPayload.objects.bulk_create([row], ignore_conflicts=True)
    return Staged(pae_sha256=digest, new=True)


def _check_observed(statement: Statement) -> None:
    """Check that the signer saw a checkpoint that this log published: it dates the statement."""
    if statement.predicate_type == OMS:
        return
    seen = parse_predicate(statement).observed
    if not is_checkpoint(seen):
        raise InvalidEnvelopeError(
            f"The statement says that its signer saw a tree of {seen.tree_size} entries of "
            f"{seen.origin} with the root {seen.root_hash}. This log published no such checkpoint."
        )


def find_payload(pae_sha256: bytes) -> bytes:
    """Return the payload under the SHA-256 of its PAE: one that waits, or one of an entry.

    Raises:
        PayloadMissingError: nobody handed it in, or it was swept.
    """
    # In this order: the transaction that logs it moves it from the first table to the second.
    for table in (StagedPayload, Payload):
        row = table.objects.filter(pk=pae_sha256).first()
        if row is not None:
            return bytes(row.payload)
    raise PayloadMissingError(
        f"No statement is stored under {pae_sha256.hex()}, the SHA-256 of the DSSE pre-"
        "authentication encoding. Hand the statement in first (POST /log/envelopes), byte for byte "
        "what is signed, then log it."
    )
