"""Which keys count, from the entries of kind `key` in all logs of this installation.

No table of the registry is asked: who reads the log alone comes to the same answer. The rules:

1. A key counts from the first entry, with an index, that says `register` about it and that the key
   itself signed. That entry gives owner and role for good. `supersede` does the same when the key
   that it names as `previous` signed the same statement, and that entry has an index too.
2. A revocation, or a `moderation` statement that suspends it, ends it from the moment it is taken
   in, before it has an index: what comes later would stand above it. Here nobody asks who signed
   it, for whoever let it in did.
3. So does a `supersede` that the key signed itself about the key that takes its place.
4. Through the open interfaces a key signs what its role may sign (`assay.verify` has the table), a
   publisher's key only about models of its owner, and no key signs statements about keys: those go
   through the registry, which knows whose name is whose.
5. While the registry's newest word about an owner's name is `suspend`, its keys sign nothing there.
   Only a key of role `registry` gets a `moderation` statement in, so nobody asks again who signed.

An owner's name is compared letter by letter. The registry gives out no two names that differ only
in capitals, so another spelling is never somebody else's; but one model has one name in the log.
"""

from __future__ import annotations

from dataclasses import dataclass

from assay.digests import is_sha256, sha256_hex
from assay.dsse import PublicKey
from assay.errors import AssayError, VerificationError
from assay.statements import (
    KEY,
    KeyPredicate,
    ModerationPredicate,
    Predicate,
    Statement,
    Subject,
    parse_predicate,
    parse_statement,
)
from assay.verify import TrustedKey
from ledger.choices import Kind
from ledger.errors import KeyMayNotError, UnregisteredKeyError
from ledger.models import Entry
from ledger.services.append import shown_name

PUBLISHER = "publisher"
_SUSPEND = "suspend"
_OF_PEOPLE = (_SUSPEND, "reinstate")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredKey:
    """A key that counts now; `owner` and `role` are those of its registration."""

    key: PublicKey
    owner: str
    role: str


def find_registered(fingerprint: str) -> RegisteredKey:
    """Return the key with this fingerprint (hex) if it counts.

    Raises:
        UnregisteredKeyError: never registered, not in the log yet, superseded, revoked, or it or
            its owner is suspended.
    """
    found, waiting = None, False
    for entry in _entries_about(fingerprint):
        said = _said(entry)
        if said is None:
            continue
        if said.action == "revoke":
            raise UnregisteredKeyError(f"The key {fingerprint} was revoked.")
        if entry.fingerprint != fingerprint or not _both_signed(entry, said):
            continue
        waiting = waiting or entry.index is None
        if entry.index is not None and found is None:
            key = PublicKey(spki=bytes(entry.public_key))
            found = RegisteredKey(key=key, owner=said.owner, role=said.role)
    if found is not None:
        _check_end(found)
        return found
    if waiting:
        raise UnregisteredKeyError(
            f"The registration of the key {fingerprint} is not in the log yet: try again shortly."
        )
    raise UnregisteredKeyError(
        f"The key {fingerprint[:64]} is not registered here. Register it on the site first, under "
        "Settings, Keys, or through the REST API."
    )


def _check_end(found: RegisteredKey) -> None:
    fingerprint = found.key.fingerprint
    if _is_suspended(fingerprint):
        raise UnregisteredKeyError(f"The key {fingerprint} was suspended by the registry.")
    if _is_suspended(sha256_hex(found.owner.encode()), found.owner):
        raise UnregisteredKeyError(f"{found.owner} is suspended by the registry.")
    if _has_named_another(fingerprint):
        raise UnregisteredKeyError(f"The key {fingerprint} was superseded by another.")


def _entries_about(fingerprint: str) -> list[Entry]:
    if not is_sha256(fingerprint):
        return []
    rows = Entry.objects.filter(kind=Kind.KEY, subjects__sha256=fingerprint)
    return list(rows.select_related("payload").order_by("log_id", "index", "pk"))


def _both_signed(entry: Entry, said: KeyPredicate) -> bool:
    """Tell whether whoever has to sign `entry`'s statement beside its key did.

    A registration needs nobody else, a supersession the key before.
    """
    if said.action == "register":
        return True
    other = Entry.objects.filter(payload=entry.payload_id, fingerprint=said.previous)
    return other.filter(index__isnull=False).exists()


def _has_named_another(fingerprint: str) -> bool:
    """Tell whether the key signed that another takes its place; its index does not matter."""
    rows = Entry.objects.filter(kind=Kind.KEY, fingerprint=fingerprint).select_related("payload")
    return any(
        said is not None and said.action == "supersede" and said.previous == fingerprint
        for said in map(_said, rows)
    )


def _is_suspended(digest: str, name: str = "") -> bool:
    """Tell whether the newest word of moderators about a key, or an owner's `name`, is `suspend`.

    A file may have the digest of a name: it is no owner, and is never suspended.
    """
    subject = Subject(name=name, sha256=digest)
    rows = Entry.objects.filter(
        kind=Kind.MODERATION, subjects__sha256=digest, subjects__name=shown_name(subject)
    )
    for entry in rows.select_related("payload").order_by("-pk"):
        predicate = _predicate(entry)
        if isinstance(predicate, ModerationPredicate) and predicate.action in _OF_PEOPLE:
            return predicate.action == _SUSPEND
    return False


def _said(entry: Entry) -> KeyPredicate | None:
    """Return what an entry says about its key; None when it is not the form of a key statement."""
    predicate = _predicate(entry)
    return predicate if isinstance(predicate, KeyPredicate) else None


def _predicate(entry: Entry) -> Predicate | None:
    try:
        return parse_predicate(parse_statement(bytes(entry.payload.payload)))
    except AssayError:
        return None


def check_may(key: RegisteredKey, statement: Statement) -> None:
    """Check that `key` may sign `statement`, of a known kind, through the open interfaces.

    Raises:
        KeyMayNotError: not its role's, not about a model of its owner, or about a key.
    """
    kind = statement.predicate_type
    if kind == KEY:
        raise KeyMayNotError(
            "Keys are registered and revoked on the site or through its REST API, not here."
        )
    try:
        TrustedKey(key=key.key, role=key.role, owner=key.owner).check_role(kind)
    except VerificationError as error:
        raise KeyMayNotError(
            f"This key is registered as {key.role}, which may not sign {kind} statements."
        ) from error
    model = statement.predicate.get("model")
    if key.role != PUBLISHER or not isinstance(model, str):
        return
    if model.partition("/")[0] != key.owner:
        raise KeyMayNotError(
            f"This key belongs to {key.owner}, and the statement is about {model}."
        )
