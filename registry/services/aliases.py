"""Aliases: each move is a statement that a publisher's key signed, and an entry of the ledger.

`move`, in this order:

1. The caller may move aliases of the model, as publishers may; a protected one moves by those only
   who may change the model's settings.
2. Under the model's lock: the key is registered for the model's owner, as a publisher's, and not
   revoked. The key's row is held, so that a revocation comes wholly before or wholly after.
3. That key signed the envelope, and the ledger does not hold this statement yet.
4. It is an `alias` statement about this model, this alias, and a release of the model that was not
   withdrawn; its one subject is the release's manifest.
5. Its `previous` is where the alias stands now: a statement made for another state is stale.
6. The checkpoint that the signer saw is one of this log.
7. COMMIT POINT: ledger entry, move, alias and audit row, in one transaction.

A crash before the commit leaves nothing of it; after it, the sequencer finds the pending entry, and
a repetition is answered with `replayed_signature`. The database refuses moves that do not go on
from the newest one, and aliases that stand elsewhere.

The statement names a revision, always: an alias cannot be moved to nothing, and so never removed.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from assay.dsse import Envelope
from assay.errors import AssayError
from assay.statements import AliasPredicate, Statement, parse_statement
from ledger import services as ledger
from registry import claims, moderated, moves, selectors
from registry.choices import Action
from registry.errors import (
    BadSignatureError,
    ConflictError,
    InvalidInputError,
    NameTakenError,
    ReplayedSignatureError,
    WithdrawnError,
)
from registry.models import Alias, AliasMove, Key, Model, Ref, Release
from registry.names import check_name
from registry.rights import Caller, need
from registry.services import audit, keys
from registry.services.releases import publisher_key

CLAIM = "alias"
RESERVED = frozenset({selectors.LATEST, "main"})
MAX_NOTE = 500


def move(
    user: AbstractBaseUser, model: Model, name: str, envelope: Envelope, key: str, *, note: str = ""
) -> AliasMove:
    """Move the alias `name`, or make it, as `envelope` says; `key` is the signer's fingerprint.

    `note` says why, unsigned.

    Raises:
        NotAllowedError: step 1, or somebody else's key, or a revoked one.
        UnknownKeyError: step 2.
        BadSignatureError: steps 3 to 6; the detail has field, expected and found.
        ReplayedSignatureError: step 3.
        UnknownRevisionError, NotReleasedError, WithdrawnError: step 4, about the revision named.
        ConflictError: step 5, with `present` and `previous`.
        InvalidInputError, NameTakenError: no name for a new alias; too long a note.
    """
    if len(note) > MAX_NOTE:
        raise InvalidInputError(f"A note has at most {MAX_NOTE} characters.", field="note")
    with transaction.atomic():
        # One after the other: the second finds that its `previous` is stale.
        model = Model.objects.select_for_update(no_key=True, of=("self",)).get(pk=model.pk)
        alias = _alias(model, name)
        need(user, to_move(alias), model)
        signer = publisher_key(model, key)
        public = selectors.public_key(signer)
        keys.check_signature(CLAIM, envelope, [public])
        _refuse_replay(signer, envelope)
        statement, predicate = _read(envelope)
        spelled = alias.name if alias else check_alias_name(model, name)
        release = _target(user, model, spelled, statement, predicate)
        _check_previous(alias, spelled, predicate)
        keys.check_observed(CLAIM, predicate.observed)
        entry = keys.append(envelope, public, statement, model=model.full_name)
        return _write(user, model, alias or spelled, release, signer, entry, note.strip())


def protect(user: AbstractBaseUser, model: Model, name: str, *, protected: bool) -> Alias:
    """Say whether only those who may change the model's settings move the alias.

    Raises:
        NotAllowedError: the caller may not change the model's settings.
        UnknownRevisionError: no such alias.
        InvalidInputError: `latest` moves by itself.
    """
    need(user, Action.SETTINGS, model)
    if name.lower() in RESERVED:
        check_alias_name(model, name)
    alias = moves.find_alias(model, name)
    with transaction.atomic():
        # The lock that moves take: each move is judged wholly before this, or wholly after.
        model = Model.objects.select_for_update(no_key=True, of=("self",)).get(pk=model.pk)
        need(user, Action.SETTINGS, model)
        changed = Alias.objects.filter(pk=alias.pk).exclude(protected=protected)
        if changed.update(protected=protected):
            word = "alias.protect" if protected else "alias.unprotect"
            audit.note(user, word, model.full_name, alias=alias.name)
    alias.protected = protected
    return alias


def proposal(user: Caller, model: Model, name: str, version: str) -> dict[str, Any]:
    """Return all that a signer must see, and sign, to move `name` to what `version` names.

    Raises:
        NotReleasedError, UnknownRevisionError, WithdrawnError: no release to move to.
        InvalidInputError, NameTakenError: no name for a new alias.
    """
    alias = _alias(model, name)
    release = selectors.find_version(model, version, user=user)
    _refuse_withdrawn(release)
    return {
        "observed": ledger.observed().to_dict(),
        "model": model.full_name,
        "alias": alias.name if alias else check_alias_name(model, name),
        "version": release.version,
        "revision": release.revision_id,
        "manifest": release.revision.manifest,
        "resources": selectors.manifest_of(release.revision).to_list(),
        "previous": alias.release.revision_id if alias else None,
        "previous_version": alias.release.version if alias else None,
    }


def check_alias_name(model: Model, name: str) -> str:
    """Return `name` when a new alias of `model` may have it.

    Raises:
        InvalidInputError: reserved, or no name.
        NameTakenError: a release, a branch or a tag has it.
    """
    check_name(name, "alias")
    if name.lower() in RESERVED:
        raise InvalidInputError(
            f"'{name}' moves by itself: it is the newest release or commit.", field="alias"
        )
    if selectors.REVISION_ID.fullmatch(name.lower()):
        raise InvalidInputError("An alias does not look like a revision.", field="alias")
    released = Release.objects.filter(model=model, version__iexact=name).exists()
    if released or Ref.objects.filter(model=model, name__iexact=name).exists():
        raise NameTakenError(
            f"{model.full_name} has a release, branch or tag '{name}'.", alias=name
        )
    return name


# ------------------------------------------------------------------ steps


def _alias(model: Model, name: str) -> Alias | None:
    rows = Alias.objects.select_related("release")
    return rows.filter(model=model, name__iexact=name.replace("\0", "\ufffd")).first()


def to_move(alias: Alias | None) -> Action:
    """Return the right that moving `alias`, or making one, needs."""
    return Action.SETTINGS if alias is not None and alias.protected else Action.ALIAS


def _refuse_replay(key: Key, envelope: Envelope) -> None:
    entry = ledger.entry_for_claim(key.pk, envelope.pae_sha256)
    if entry is not None:
        raise ReplayedSignatureError(
            "This very statement was logged before.", claim=CLAIM, entry=entry
        )


def _read(envelope: Envelope) -> tuple[Statement, AliasPredicate]:
    try:
        statement = parse_statement(envelope.payload)
    except AssayError as error:
        raise BadSignatureError(
            f"The alias envelope holds no statement: {error}.",
            claim=CLAIM,
            field=getattr(error, "path", "payload"),
        ) from error
    claims.same(CLAIM, "predicateType", AliasPredicate.TYPE, statement.predicate_type)
    predicate = claims.typed(CLAIM, statement)
    if not isinstance(predicate, AliasPredicate):
        raise AssertionError("the predicate type decides the class")
    return statement, predicate


def _target(
    user: AbstractBaseUser,
    model: Model,
    name: str,
    statement: Statement,
    predicate: AliasPredicate,
) -> Release:
    """Check step 4 and return the release that the statement points at."""
    claims.same(CLAIM, "predicate.model", model.full_name, predicate.model)
    claims.same(CLAIM, "predicate.alias", name, predicate.alias)
    release = selectors.find_version(model, predicate.revision, user=user)
    claims.same(CLAIM, "subject", [release.revision.manifest], list(statement.digests))
    _refuse_withdrawn(release)
    return release


def _refuse_withdrawn(release: Release) -> None:
    moderated.need_good(release)
    if release.yanked_at is not None:
        raise WithdrawnError(
            f"{release.version} was withdrawn: an alias moves to a release that stands.",
            version=release.version,
            reason=release.yank_reason,
        )


def _check_previous(alias: Alias | None, name: str, predicate: AliasPredicate) -> None:
    present = alias.release.revision_id if alias else None
    if predicate.previous != present:
        raise ConflictError(
            f"'{name}' stands elsewhere than the statement says: look again, and sign anew.",
            alias=name,
            present=present,
            previous=predicate.previous,
        )
    if predicate.revision == present:
        raise ConflictError(f"'{name}' stands there already.", alias=name, present=present)


def _write(
    user: AbstractBaseUser,
    model: Model,
    alias: Alias | str,
    release: Release,
    key: Key,
    entry: int,
    note: str,
) -> AliasMove:
    previous, number = None, 1
    if isinstance(alias, str):
        alias = Alias.objects.create(model=model, name=alias, release=release)
    else:
        previous = alias.release
        number = alias.moves.count() + 1
        alias.release = release
        alias.save(update_fields=("release",))
    made = AliasMove.objects.create(
        alias=alias,
        number=number,
        release=release,
        previous=previous,
        key=key,
        author_id=user.pk,
        entry_id=entry,
        note=note,
    )
    Key.objects.filter(pk=key.pk).update(last_used_at=timezone.now())
    audit.note(
        user,
        "alias.move",
        model.full_name,
        alias=alias.name,
        version=release.version,
        previous=previous.version if previous else None,
        key=key.pk,
    )
    return made
