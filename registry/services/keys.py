"""Keys: registered, backed up and revoked, each by a signed statement in the ledger.

A `key` statement registers the key that signs it. What is checked, in this order:

1. The envelope is a DSSE envelope with a `key` statement of the right form.
2. The key in it is a P-256 key in its one PEM spelling, and the statement's only subject.
3. That key signed the envelope (a revocation: that key, or another one of the same owner).
4. Owner and role are those that the caller may speak for: their own name, or an organisation whose
   admin they are.
5. The checkpoint that the signer had seen is one that this log published.

The log takes the statement in the transaction that writes the row and the letter to the owner
(`alarms`): COMMIT POINT. A crash before it leaves nothing of it, after it all three. Who may
register under an owner's name is the registry's word; that the key's holder wanted it is the key's.
How one key takes the place of another is in `rotation`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction

from assay.dsse import Envelope, PublicKey, load_public_key, verify_envelope
from assay.errors import AssayError
from assay.statements import KeyPredicate, Observed, Statement, parse_statement
from ledger import services as ledger
from ledger.errors import DuplicateClaimError
from registry import claims, selectors
from registry.choices import Action, KeyEvent, KeyRole, KeyState
from registry.errors import (
    BadSignatureError,
    ConflictError,
    InvalidInputError,
    NotAllowedError,
    ReplayedSignatureError,
    UnknownKeyError,
)
from registry.models import Key, KeyBackup, Owner
from registry.rights import can, need, role_in
from registry.services import alarms, audit

CLAIM = "key"
MAX_WRAPPED = 4096
MAX_NAME, MAX_REASON = 80, 300
MIN_ITERATIONS, MAX_ITERATIONS = 100_000, 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyStatement:
    """A `key` statement of the right form, about `key`; its signature is not checked yet."""

    envelope: Envelope
    statement: Statement
    predicate: KeyPredicate
    key: PublicKey


def register(user: AbstractBaseUser, envelope: Envelope, *, name: str) -> Key:
    """Register a publisher's or an auditor's key for `user`, or for an organisation of theirs.

    The statement says whose key it is and which of the two; `name` is for people.

    Raises:
        BadSignatureError: the detail has field, expected and found.
        NotAllowedError: the caller has no owner name, or their token may not change keys, or they
            belong to the organisation and are no admin of it.
        ReplayedSignatureError: this very statement is in the ledger.
        ConflictError: the key is registered.
    """
    name = check_name(name)
    found, owner = _registration(user, envelope)
    return _write(user, found, KeyRole(found.predicate.role), owner, name)


def look_at(user: AbstractBaseUser, envelope: Envelope) -> KeyStatement:
    """Return what `register` would register for `user`; its refusals are the same."""
    return _registration(user, envelope)[0]


def _registration(user: AbstractBaseUser, envelope: Envelope) -> tuple[KeyStatement, Owner]:
    """Steps 1 to 5: return the statement, and the owner for whom `user` may register its key."""
    found = read(envelope)
    owner = _owner(user, found.predicate.owner)
    auditor = found.predicate.role == KeyRole.AUDITOR
    role = KeyRole.AUDITOR if auditor else KeyRole.PUBLISHER
    check_predicate(found, action="register", owner=owner.name, role=role)
    check_signature(CLAIM, envelope, [found.key])
    return found, owner


def rename(user: AbstractBaseUser, fingerprint: str, *, name: str) -> Key:
    """Give a key another name, which is for people and in no statement.

    Raises:
        UnknownKeyError: the caller has no such key.
        InvalidInputError: an empty or a long name.
    """
    name = check_name(name)
    with transaction.atomic():
        key = own_key(user, fingerprint)
        audit.note(user, "key.rename", fingerprint, before=key.name, name=name)
        key.name = name
        key.save(update_fields=("name",))
    return key


def check_name(name: str) -> str:
    """Return the name of a key without the spaces around it; InvalidInputError when it is none."""
    name = name.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise InvalidInputError(
            f"A key's name has 1 to {MAX_NAME} printable characters.", field="name"
        )
    return name


def _owner(user: AbstractBaseUser, named: str) -> Owner:
    """Return the owner that a statement names if `user` speaks for it, else their own.

    What the statement says is compared with the answer, so that another's name is told as a
    difference and not as a name that exists.
    """
    own = Owner.objects.filter(user_id=user.pk).first()
    if own is None or own.name != named:
        other = selectors.find_owner(named)
        if other is not None and (can(user, Action.KEYS, other) or role_in(user, other)):
            need(user, Action.KEYS, other)
            return other
    if own is None or not can(user, Action.KEYS, own):
        raise NotAllowedError(
            "This account has no owner name to register a key for, or its token may not: changing "
            "keys needs the scope 'admin'."
        )
    return own


def register_service_key(envelope: Envelope, role: KeyRole, *, name: str = "") -> Key:
    """Register a key of the installation itself: executor, auditor or registry.

    Its owner is the log's origin, which nobody can have as an owner name by signing up. Called by
    commands and never for a visitor.

    Raises:
        As `register`.
    """
    if role == KeyRole.PUBLISHER:
        raise InvalidInputError("A publisher registers their own key.", field="role")
    found = read(envelope)
    check_predicate(found, action="register", owner=settings.LEDGER_ORIGIN, role=role)
    check_signature(CLAIM, envelope, [found.key])
    return _write(None, found, role, None, name or f"{role} of {settings.LEDGER_ORIGIN}")


def revoke(user: AbstractBaseUser, fingerprint: str, envelope: Envelope, *, reason: str) -> Key:
    """Revoke a key: its statements count below the index that the revocation gets.

    The key itself signs, or another registered key of its owner, since a key may be lost. A key
    that was superseded may be revoked too, to say why; it ended before, at its supersession.

    `reason` is shown to everybody on the key's page; the statement does not carry it.

    Raises:
        UnknownKeyError: the caller has no such key.
        InvalidInputError: no reason, or a long one.
        BadSignatureError: the detail has field, expected and found.
        ConflictError: it is revoked already.
    """
    reason = reason.strip()
    if not reason or len(reason) > MAX_REASON:
        raise InvalidInputError(f"A reason has 1 to {MAX_REASON} characters.", field="reason")
    with transaction.atomic():
        key = hold(user, fingerprint)
        if key.state == KeyState.REVOKED:
            raise ConflictError("This key is revoked already.", fingerprint=fingerprint)
        found = read(envelope)
        owner = key.owner.name if key.owner else ""
        check_predicate(found, action="revoke", owner=owner, role=key.role)
        claims.same(CLAIM, "predicate.publicKey", fingerprint, found.key.fingerprint)
        others = Key.objects.filter(owner=key.owner, state=KeyState.REGISTERED).exclude(pk=key.pk)
        signer = check_signature(
            CLAIM, envelope, [found.key, *(selectors.public_key(other) for other in others)]
        )
        key.revocation_id = append(envelope, signer, found.statement)
        key.state = KeyState.REVOKED
        key.revocation_reason = reason
        key.save(update_fields=("state", "revocation", "revocation_reason"))
        audit.note(user, "key.revoke", fingerprint, by=signer.fingerprint, reason=reason)
        alarms.raise_alarm(user, key, KeyEvent.REVOKED)
    return key


def backup(
    user: AbstractBaseUser,
    fingerprint: str,
    *,
    wrapped: bytes,
    salt: bytes,
    iterations: int,
    iv: bytes,
) -> KeyBackup:
    """Keep the owner's wrapped private key; the passphrase never comes here.

    Raises:
        UnknownKeyError: the caller has no such key.
        InvalidInputError: sizes that no wrapped P-256 key has.
    """
    for field, good in (
        ("wrapped", 16 < len(wrapped) <= MAX_WRAPPED),
        ("salt", 16 <= len(salt) <= 64),
        ("iv", len(iv) == 12),
        ("iterations", MIN_ITERATIONS <= iterations <= MAX_ITERATIONS),
    ):
        if not good:
            raise InvalidInputError(f"'{field}' is out of range.", field=field)
    values = {"wrapped": wrapped, "salt": salt, "iterations": iterations, "iv": iv}
    with transaction.atomic():
        key = own_key(user, fingerprint)
        row, _ = KeyBackup.objects.update_or_create(key=key, defaults=values)
        audit.note(user, "key.backup", fingerprint)
    return row


def own_key(user: AbstractBaseUser, fingerprint: str) -> Key:
    """Return a key of the caller's own; UnknownKeyError for any other."""
    key = selectors.find_key(fingerprint)
    if key.owner is None or not can(user, Action.KEYS, key.owner):
        raise UnknownKeyError("You have no such key.", fingerprint=fingerprint[:80])
    return key


def hold(user: AbstractBaseUser, fingerprint: str) -> Key:
    """Return a key of the caller's own and hold its row to the transaction's end.

    What the key signs is taken under the same lock, so wholly before its end or not at all.

    Raises:
        UnknownKeyError: the caller has no such key.
    """
    own_key(user, fingerprint)
    return (
        selectors.published_keys().select_for_update(no_key=True, of=("self",)).get(pk=fingerprint)
    )


def find_backup(user: AbstractBaseUser, fingerprint: str) -> KeyBackup:
    """Return the backup of the caller's own key; UnknownKeyError when there is none."""
    row = KeyBackup.objects.filter(key=own_key(user, fingerprint)).first()
    if row is None:
        raise UnknownKeyError("This key has no backup here.", fingerprint=fingerprint)
    return row


# ------------------------------------------------------------------ what releases need too


def check_signature(claim: str, envelope: Envelope, keys: Iterable[PublicKey]) -> PublicKey:
    """Return the first of `keys` that signed `envelope`.

    Raises:
        BadSignatureError: none of them did, or the envelope names a key id or another type.
    """
    told = ""
    for key in keys:
        try:
            verify_envelope(envelope, key)
        except AssayError as error:
            told = told or str(error)
            continue
        return key
    raise BadSignatureError(f"The {claim} envelope: {told}.", claim=claim, field="signature")


def check_observed(claim: str, seen: Observed) -> None:
    """Raise BadSignatureError unless this log published the checkpoint that the signer saw."""
    if not ledger.is_checkpoint(seen):
        raise BadSignatureError(
            f"The {claim} statement says that its signer saw a checkpoint of another log.",
            claim=claim,
            field="predicate.observed",
            expected="a checkpoint that this log published",
            found=seen.to_dict(),
        )


def append(envelope: Envelope, key: PublicKey, statement: Statement, *, model: str = "") -> int:
    """Take a claim into the ledger, inside the caller's transaction.

    Raises:
        ReplayedSignatureError: this key has logged this statement before.
    """
    try:
        return ledger.append(envelope, key, statement, model=model)
    except DuplicateClaimError as error:
        raise ReplayedSignatureError(
            "This very statement was logged before.", entry=error.entry_id
        ) from error


# ------------------------------------------------------------------ steps


def read(envelope: Envelope) -> KeyStatement:
    """Read a `key` statement: steps 1 and 2. BadSignatureError says which field is wrong."""
    try:
        statement = parse_statement(envelope.payload)
    except AssayError as error:
        raise BadSignatureError(
            f"The envelope holds no statement: {error}.",
            claim=CLAIM,
            field=getattr(error, "path", "payload"),
        ) from error
    predicate = claims.typed(CLAIM, statement)
    if not isinstance(predicate, KeyPredicate):
        claims.same(CLAIM, "predicateType", KeyPredicate.TYPE, statement.predicate_type)
        raise AssertionError("the predicate type decides the class")
    try:
        key = load_public_key(predicate.public_key)
    except AssayError as error:
        raise BadSignatureError(
            f"The key in the statement: {error}.", claim=CLAIM, field="predicate.publicKey"
        ) from error
    claims.same(CLAIM, "predicate.publicKey", key.pem, predicate.public_key)
    subjects = [subject.sha256 for subject in statement.subjects]
    claims.same(CLAIM, "subject", [key.fingerprint], subjects)
    if not statement.subjects[0].name.isprintable():
        raise BadSignatureError("A subject's name is printable.", claim=CLAIM, field="subject")
    return KeyStatement(envelope=envelope, statement=statement, predicate=predicate, key=key)


def check_predicate(
    found: KeyStatement, *, action: str, owner: str, role: str, previous: str | None = None
) -> None:
    """Check steps 4 and 5: BadSignatureError says which field is another one."""
    predicate = found.predicate
    for field, want, got in (
        ("action", action, predicate.action),
        ("owner", owner, predicate.owner),
        ("role", str(role), predicate.role),
        ("previous", previous, predicate.previous),
    ):
        claims.same(CLAIM, f"predicate.{field}", want, got)
    check_observed(CLAIM, predicate.observed)


def _write(
    user: AbstractBaseUser | None,
    found: KeyStatement,
    role: KeyRole,
    owner: Owner | None,
    name: str,
) -> Key:
    fingerprint = found.key.fingerprint
    taken = ConflictError("This key is registered already.", fingerprint=fingerprint)
    try:
        with transaction.atomic():
            entry = append(found.envelope, found.key, found.statement)
            if Key.objects.filter(pk=fingerprint).exists():
                raise taken
            key = Key.objects.create(
                fingerprint=fingerprint,
                owner=owner,
                role=role,
                name=name[:MAX_NAME],
                spki=found.key.spki,
                entry_id=entry,
            )
            audit.note(user, "key.register", fingerprint, role=str(role), name=key.name)
            alarms.raise_alarm(user, key, KeyEvent.REGISTERED)
    except IntegrityError:  # two at once: the entry of the slower one is gone with its transaction
        raise taken from None
    return key
