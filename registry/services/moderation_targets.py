"""What moderators may act on: found by the name that people write, named as statements name it.

| kind | written as | subject's name | subject's SHA-256 |
|---|---|---|---|
| model | `owner/name` | the same | of its name in UTF-8 |
| release | `owner/name@version` | `owner/name` | the manifest digest |
| file | 64 hex digits | none | the content's own |
| owner | `name` | the same | of its name in UTF-8 |
| execution | its id | the same | of its statement's PAE; of its id where none was signed |
| key | 64 hex digits | none | its fingerprint |

So whoever watches a model or holds a file finds in the ledger what was done about it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Q
from django.utils import timezone

from assay.digests import is_sha256, sha256_hex
from assay.statements import Subject
from registry import executions, moderated
from registry.choices import Act, KeyState, MemberState, OwnerKind, Role, Standing, Target
from registry.errors import InvalidInputError, UnknownFileError, UnknownKeyError, UnknownOwnerError
from registry.models import (
    Blob,
    Key,
    Membership,
    Model,
    ModerationAction,
    Owner,
    Release,
    Report,
    RevisionFile,
)
from registry.rights import unknown_model


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A thing that can be acted on; `target` finds it again, `model` is what the ledger lists."""

    kind: Target
    target: str
    name: str
    subject: Subject
    standing: Standing
    owner: Owner | None = None
    model: str = ""
    url: str = ""


def find(kind: Target, name: str) -> Found:
    """Return the thing of this kind that people call `name`, private ones too.

    Raises:
        InvalidInputError: no name of such a thing.
        UnknownModelError, UnknownOwnerError, UnknownFileError, UnknownKeyError: there is none.
    """
    return _FINDERS[kind](name.strip().replace("\0", "\ufffd")[:300])


def hold(found: Found) -> Found:
    """Return the thing as it stands now, its row held to the end of the transaction."""
    if found.kind in _TABLES:
        _TABLES[found.kind].select_for_update(no_key=True).get(pk=found.target)
    return find(found.kind, found.name)


def name_of(row: ModerationAction | Report) -> str:
    """Return how the thing that `row` is about is written today: models change hands."""
    if row.kind == Target.MODEL:
        model = Model.objects.select_related("owner").filter(pk=row.target).first()
        return row.name if model is None else model.full_name
    if row.kind == Target.RELEASE:
        release = Release.objects.select_related("model__owner").filter(pk=row.target).first()
        return row.name if release is None else f"{release.model.full_name}@{release.version}"
    return row.name


def may_object(user: AbstractBaseUser, action: ModerationAction) -> bool:
    """Tell whether `user` speaks for what `action` is about, suspended or not.

    For a file those speak who had it in a model when moderators acted: nobody takes it in to use up
    the one appeal.
    """
    if action.kind == Target.FILE:
        return _has_file(user, action.target, before=action.created_at)
    return action.owner_id is not None and _speaks_for(user, action.owner_id)


def is_own(user: AbstractBaseUser, found: Found) -> bool:
    """Tell whether `found` is the own of `user`, who then cannot judge it."""
    if found.kind == Target.FILE:
        return _has_file(user, found.target, before=timezone.now())
    return found.owner is not None and _speaks_for(user, found.owner.pk)


def _has_file(user: AbstractBaseUser, digest: str, *, before: datetime) -> bool:
    rows = RevisionFile.objects.filter(blob=digest, revision__created_at__lt=before)
    owners = Owner.objects.filter(_decides(user))
    return owners.filter(pk__in=rows.values("revision__model__owner")).exists()


def _speaks_for(user: AbstractBaseUser, owner_id: int) -> bool:
    return Owner.objects.filter(_decides(user), pk=owner_id).exists()


def _decides(user: AbstractBaseUser) -> Q:
    admin = Membership.objects.filter(
        user_id=user.pk, state=MemberState.MEMBER, role=Role.ADMIN
    ).values("owner_id")
    return Q(kind=OwnerKind.USER, user_id=user.pk) | Q(pk__in=admin)


_TABLES: dict[Target, Any] = {
    Target.MODEL: Model.objects,
    Target.RELEASE: Release.objects,
    Target.FILE: Blob.objects,
    Target.OWNER: Owner.objects,
    Target.KEY: Key.objects,
}


def set_standing(found: Found, standing: Standing) -> None:
    """Write how a thing stands into its row; the action that says so is written already."""
    if found.kind in _TABLES and found.kind != Target.KEY:
        _TABLES[found.kind].filter(pk=found.target).update(standing=standing)


# ------------------------------------------------------------------ one finder for each kind


def _named(name: str) -> str:
    """Return the digest of what has no bytes of its own."""
    return sha256_hex(name.encode())


def _row(name: str) -> Model:
    owner, _, rest = name.partition("/")
    rows = Model.objects.select_related("owner").filter(owner__name__iexact=owner)
    model = rows.filter(name__iexact=rest).first()
    if model is None:
        raise unknown_model(name)
    return model


def _model(name: str) -> Found:
    model = _row(name)
    full = model.full_name
    return Found(
        kind=Target.MODEL,
        target=str(model.pk),
        name=full,
        subject=Subject(name=full, sha256=_named(full)),
        standing=Standing(model.standing),
        owner=model.owner,
        model=full,
        url=f"/models/{full}/",
    )


def _release(name: str) -> Found:
    of, at, version = name.rpartition("@")
    if not at:
        raise InvalidInputError("A release is written owner/name@version.", field="name")
    model = _row(of)
    release = (
        Release.objects.select_related("revision")
        .filter(model=model, version__iexact=version)
        .first()
    )
    if release is None:
        raise InvalidInputError(f"{model.full_name} has no release '{version}'.", field="name")
    return Found(
        kind=Target.RELEASE,
        target=str(release.pk),
        name=f"{model.full_name}@{release.version}",
        subject=Subject(name=model.full_name, sha256=release.revision.manifest),
        standing=Standing(release.standing),
        owner=model.owner,
        model=model.full_name,
        url=f"/models/{model.full_name}/releases/{release.version}/",
    )


def _file(name: str) -> Found:
    digest = name.lower().removeprefix("sha256:")
    blob = Blob.objects.filter(pk=digest).first() if is_sha256(digest) else None
    if blob is None:
        raise UnknownFileError("Nobody stored content with this SHA-256.", sha256=name[:80])
    return Found(
        kind=Target.FILE,
        target=blob.pk,
        name=blob.pk,
        subject=Subject(name="", sha256=blob.pk),
        standing=Standing(blob.standing),
        url=f"/sha256/{blob.pk}",
    )


def _owner(name: str) -> Found:
    owner = Owner.objects.filter(name__iexact=name).first()
    if owner is None:
        raise UnknownOwnerError(f"There is no owner '{name[:96]}'.", name=name[:96])
    return Found(
        kind=Target.OWNER,
        target=str(owner.pk),
        name=owner.name,
        subject=Subject(name=owner.name, sha256=_named(owner.name)),
        standing=Standing(owner.standing),
        owner=owner,
        url=f"/{owner.name}/",
    )


def _execution(name: str) -> Found:
    try:
        pk = UUID(name)
    except ValueError:
        raise InvalidInputError("An execution is written as its id.", field="name") from None
    ran = executions.find([pk], [])
    if not ran:
        raise InvalidInputError("There is no such execution.", field="name")
    pae = ran[0].pae_sha256
    text = str(pk)
    action = moderated.standing_action(Target.EXECUTION, text)
    return Found(
        kind=Target.EXECUTION,
        target=text,
        name=text,
        subject=Subject(name=text, sha256=pae.hex() if pae else _named(text)),
        standing=moderated.LEADS_TO[Act(action.act)] if action else Standing.GOOD,
        owner=Owner.objects.filter(user_id=ran[0].caller_id).first() if ran[0].caller_id else None,
        url=f"/executions/{text}/",
    )


def _key(name: str) -> Found:
    key = Key.objects.select_related("owner").filter(pk=name.lower()).first()
    if key is None:
        raise UnknownKeyError("No such key is registered.", fingerprint=name[:80])
    return Found(
        kind=Target.KEY,
        target=key.pk,
        name=key.pk,
        subject=Subject(name="", sha256=key.pk),
        standing=Standing.SUSPENDED if key.state == KeyState.REVOKED else Standing.GOOD,
        owner=key.owner,
        url=f"/keys/{key.pk}/",
    )


_FINDERS: dict[Target, Callable[[str], Found]] = {
    Target.MODEL: _model,
    Target.RELEASE: _release,
    Target.FILE: _file,
    Target.OWNER: _owner,
    Target.EXECUTION: _execution,
    Target.KEY: _key,
}
