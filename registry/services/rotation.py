"""Rotation: a new key takes the place of an old one, and both say so.

One `key` statement (action `supersede`, `previous`: the old key's fingerprint) is signed twice,
once by each key; the same bytes under two signatures, so nobody can show one key another story than
the other. In this order:

1. The old key's row is held: of two rotations at once, or a rotation and a revocation, one waits.
2. The old key is the caller's, and is neither superseded nor revoked.
3. The statement is of the right form (`keys.read`), about the new key, and names owner, role and
   the old key; both envelopes carry the same payload.
4. The new key signed the first envelope, the old key the second.
5. The checkpoint that the signer had seen is one that this log published.
6. COMMIT POINT: both entries, the new row, the old row's end, the audit row and the letter to the
   owner, in one transaction. A crash before leaves the old key as it was; a repeated call finds
   that the old key is superseded.

The new key counts from its entry's index, the old one below that of the entry that it signed.
"""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction

from assay.dsse import Envelope
from registry import selectors
from registry.choices import KeyEvent, KeyState
from registry.errors import BadSignatureError, ConflictError, InvalidInputError
from registry.models import Key
from registry.services import alarms, audit, keys


def rotate(
    user: AbstractBaseUser,
    fingerprint: str,
    *,
    envelope: Envelope,
    previous: Envelope,
    name: str,
) -> Key:
    """Let a new key take the place of the key `fingerprint`, and return the new one.

    `envelope` is signed by the new key, `previous` by the old one.

    Raises:
        UnknownKeyError: the caller has no such key.
        ConflictError: the old key ended before, or the new key is registered.
        BadSignatureError: steps 3 to 5; the detail has field, expected and found.
        ReplayedSignatureError: this very statement is in the ledger.
    """
    name = keys.check_name(name)
    try:
        with transaction.atomic():
            return _rotate(user, keys.hold(user, fingerprint), envelope, previous, name)
    except IntegrityError:  # somebody registered the same new key at the same moment
        raise ConflictError("The new key is registered already.") from None


def _rotate(
    user: AbstractBaseUser, old: Key, envelope: Envelope, previous: Envelope, name: str
) -> Key:
    if old.state != KeyState.REGISTERED:
        raise ConflictError(
            f"This key is {old.state}: it cannot name another one.",
            fingerprint=old.pk,
            state=old.state,
        )
    found = _read(old, envelope, previous)
    public = selectors.public_key(old)
    keys.check_signature(keys.CLAIM, envelope, [found.key])
    keys.check_signature("key (of the previous key)", previous, [public])
    if Key.objects.filter(pk=found.key.fingerprint).exists():
        raise ConflictError("The new key is registered already.", fingerprint=found.key.fingerprint)
    entry = keys.append(envelope, found.key, found.statement)
    old.supersession_id = keys.append(previous, public, found.statement)
    old.state = KeyState.SUPERSEDED
    old.save(update_fields=("state", "supersession"))
    key = Key.objects.create(
        fingerprint=found.key.fingerprint,
        owner=old.owner,
        role=old.role,
        name=name,
        spki=found.key.spki,
        entry_id=entry,
        previous=old,
    )
    audit.note(user, "key.rotate", old.pk, to=key.pk, name=name)
    alarms.raise_alarm(user, key, KeyEvent.ROTATED)
    return key


def _read(old: Key, envelope: Envelope, previous: Envelope) -> keys.KeyStatement:
    found = keys.read(envelope)
    if found.key.fingerprint == old.pk:
        raise InvalidInputError("A key cannot take its own place.", field="envelope")
    keys.check_predicate(
        found,
        action="supersede",
        owner=old.owner.name if old.owner else "",
        role=old.role,
        previous=old.pk,
    )
    if previous.payload != envelope.payload:
        raise BadSignatureError(
            "Both keys sign the same statement, byte for byte.",
            claim=keys.CLAIM,
            field="payload",
        )
    return found
