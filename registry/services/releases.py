"""Releases: a publisher's three signatures over one revision, taken together or not at all.

`publish`, in this order; each step is a function or a call that names it:

1. The caller may release for the model.
2. Under the model's lock: the revision is the model's, was inspected, and is not released.
3. The key is registered for the model's owner, as a publisher's, and not revoked.
4. The version is a good name and new in this model.
5. Each of the three envelopes is signed by that key and says exactly what the server computed
   (`registry.claims`); the checkpoint that the signer saw is one of this log.
6. COMMIT POINT: the ledger entries, release, claims and audit row, in one transaction.

A crash before the commit leaves nothing of it; after it, the sequencer finds the pending entries.

A private model may be released. Its statements are then as public as any: the ledger knows no
private entry, and nobody can take one back. The page where they are signed says so before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from assay.dsse import Envelope, PublicKey
from assay.errors import AssayError
from assay.statements import Statement, parse_statement
from ledger import services as ledger
from registry import claims, selectors
from registry.choices import Action, ClaimKind, KeyRole, KeyState
from registry.errors import (
    BadSignatureError,
    ConflictError,
    InvalidInputError,
    NameTakenError,
    NotAllowedError,
    NotInspectedError,
    ReplayedSignatureError,
)
from registry.models import Alias, Claim, Key, Model, Release, Revision
from registry.names import check_name
from registry.rights import need
from registry.services import audit, keys, trusted

ORDER = (ClaimKind.MODEL_SIGNATURE, ClaimKind.CARD, ClaimKind.RELEASE)
MAX_NOTES = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a publisher sends: `envelopes` has the three claims, `key` is the fingerprint."""

    revision: str
    version: str
    notes: str
    envelopes: Mapping[ClaimKind, Envelope]
    key: str


def publish(user: AbstractBaseUser, model: Model, request: Request) -> Release:
    """Release a revision of `model`, or change nothing.

    Raises:
        NotAllowedError: steps 1 and 3.
        UnknownRevisionError, NotInspectedError, ConflictError: step 2.
        UnknownKeyError: step 3.
        InvalidInputError, NameTakenError: step 4, or no card.
        ReplayedSignatureError: one of the statements is in the ledger.
        BadSignatureError: step 5; the detail has claim, field, expected and found.
    """
    need(user, Action.RELEASE, model)
    if set(request.envelopes) != set(ORDER):
        raise InvalidInputError(
            "A release has three claims: oms, card and release.", field="claims"
        )
    if len(request.notes) > MAX_NOTES:
        raise InvalidInputError(f"Notes have at most {MAX_NOTES} characters.", field="notes")
    with transaction.atomic():
        # The lock gives numbers and `previous` without gaps; NO KEY UPDATE lets uploads go on.
        model = Model.objects.select_for_update(no_key=True, of=("self",)).get(pk=model.pk)
        need(user, Action.RELEASE, model)  # it may have been deleted, or have gone, meanwhile
        key = publisher_key(model, request.key)
        _refuse_replays(key, request.envelopes)
        revision = _releasable(model, request.revision, user)
        _check_version(model, request.version)
        public = selectors.public_key(key)
        want = claims.expected(revision)
        statements = {
            kind: _check_claim(kind, request.envelopes[kind], public, want, request.version)
            for kind in ORDER
        }
        return _write(user, revision, key, request, statements)


# ------------------------------------------------------------------ steps


def publisher_key(model: Model, fingerprint: str) -> Key:
    """Return the key that may sign for `model`, and hold its row to the transaction's end.

    A revocation changes that row: it comes wholly before the signature is taken, or after.

    Raises:
        UnknownKeyError: no such key is registered.
        NotAllowedError: no publisher's key of the model's owner, or one that counts no longer.
    """
    found = selectors.find_key(fingerprint)
    key = Key.objects.select_for_update(no_key=True).get(pk=found.pk)
    if key.owner_id != model.owner_id or key.role != KeyRole.PUBLISHER:
        raise NotAllowedError(
            f"This key is not registered for {model.owner.name}.", fingerprint=key.pk
        )
    if key.state != KeyState.REGISTERED:
        raise NotAllowedError(f"This key is {key.state}.", fingerprint=key.pk)
    return key


def _refuse_replays(key: Key, envelopes: Mapping[ClaimKind, Envelope]) -> None:
    """Refuse what was logged before. A model signature may be: the same files, released again."""
    for kind in (ClaimKind.CARD, ClaimKind.RELEASE):
        entry = ledger.entry_for_claim(key.pk, envelopes[kind].pae_sha256)
        if entry is not None:
            raise ReplayedSignatureError(
                f"The {kind} statement was logged before.", claim=str(kind), entry=entry
            )


def _releasable(model: Model, revision_id: str, user: AbstractBaseUser) -> Revision:
    revision = selectors.find_revision(model, revision_id, user)
    if revision.state not in selectors.INSPECTED:
        raise NotInspectedError(
            "Only a revision that passed its inspection can be released.",
            revision=revision.pk,
            state=str(revision.state),
        )
    earlier = Release.objects.filter(revision=revision).first()
    if earlier is not None:
        raise ConflictError(
            f"This revision is released as {earlier.version}.", version=earlier.version
        )
    return revision


def _check_version(model: Model, version: str) -> None:
    check_name(version, "version")
    if selectors.REVISION_ID.fullmatch(version.lower()):
        raise InvalidInputError("A version does not look like a revision.", field="version")
    if version.lower() in (selectors.LATEST, "main"):
        raise InvalidInputError(f"'{version}' is the newest one, whichever it is.", field="version")
    taken = Release.objects.filter(model=model, version__iexact=version).exists()
    if taken or Alias.objects.filter(model=model, name__iexact=version).exists():
        raise NameTakenError(f"{model.full_name} has a '{version}' already.", version=version)


def _check_claim(
    kind: ClaimKind, envelope: Envelope, key: PublicKey, want: claims.Expected, version: str
) -> Statement:
    keys.check_signature(str(kind), envelope, [key])
    try:
        statement = parse_statement(envelope.payload)
    except AssayError as error:
        raise BadSignatureError(
            f"The {kind} envelope holds no statement: {error}.",
            claim=str(kind),
            field=getattr(error, "path", "payload"),
        ) from error
    observed = claims.check(kind, statement, want, version)
    if observed is not None:
        keys.check_observed(str(kind), observed)
    return statement


def _write(
    user: AbstractBaseUser,
    revision: Revision,
    key: Key,
    request: Request,
    statements: Mapping[ClaimKind, Statement],
) -> Release:
    model, public = revision.model, selectors.public_key(key)
    last = Release.objects.filter(model=model).aggregate(n=Max("number"))["n"] or 0
    release = Release.objects.create(
        model=model,
        revision=revision,
        number=last + 1,
        version=request.version,
        notes=request.notes,
        key=key,
        author_id=user.pk,
    )
    trusted.mark(user, release)
    for kind in ORDER:
        envelope, statement = request.envelopes[kind], statements[kind]
        entry = ledger.entry_for_claim(key.pk, envelope.pae_sha256)
        if entry is None:  # else the model signature of an earlier release of the same files
            entry = keys.append(envelope, public, statement, model=model.full_name)
        Claim.objects.create(release=release, kind=kind, entry_id=entry)
    now = timezone.now()
    Key.objects.filter(pk=key.pk).update(last_used_at=now)
    Model.objects.filter(pk=model.pk).update(updated_at=now)
    audit.note(
        user, "release.publish", model.full_name, version=release.version, revision=revision.pk
    )
    return release


def yank(user: AbstractBaseUser, model: Model, version: str, *, reason: str) -> Release:
    """Withdraw a release, for good: never the newest, it still answers to its own version.

    An alias that points at it stays until its publisher moves it. `version` is no alias.

    Raises:
        NotAllowedError: the model is somebody else's.
        InvalidInputError: no reason, or a long one.
        UnknownRevisionError: no such release.
        ConflictError: it was withdrawn before.
    """
    need(user, Action.RELEASE, model)
    if not reason.strip() or len(reason) > 500:
        raise InvalidInputError("A reason has 1 to 500 characters.", field="reason")
    with transaction.atomic():
        # The lock that moves of aliases take: none moves to it from here on.
        model = Model.objects.select_for_update(no_key=True, of=("self",)).get(pk=model.pk)
        need(user, Action.RELEASE, model)  # it may have been deleted, or have gone, meanwhile
        release = selectors.find_release(model, version)
        yanked = Release.objects.filter(pk=release.pk, yanked_at=None).update(
            yanked_at=timezone.now(), yank_reason=reason.strip()
        )
        if not yanked:
            raise ConflictError("This release was withdrawn before.", version=release.version)
        audit.note(user, "release.yank", model.full_name, version=release.version, reason=reason)
    release.refresh_from_db()
    return release
