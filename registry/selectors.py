"""Reads across tables. What the caller may not know of is absent here, not forbidden."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from assay.dsse import PublicKey
from assay.manifest import Manifest, is_ignored
from ledger import services as ledger
from registry.choices import ClaimKind, RevisionState, Visibility
from registry.errors import (
    InvalidInputError,
    NoGraphError,
    NotReleasedError,
    UnknownFileError,
    UnknownKeyError,
    UnknownModelError,
    UnknownRevisionError,
)
from registry.models import (
    Alias,
    Blob,
    Holding,
    Key,
    Model,
    Owner,
    Release,
    Revision,
    RevisionFile,
)
from registry.rights import Caller, may_read, may_write, readable

INSPECTED = (RevisionState.PASSED, RevisionState.FLAGGED)
PAGE = 30
REVISION_ID = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Runnable:
    """What a request for a model and a version leads to."""

    revision: Revision
    release: Release
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of models, newest first, and the cursor of the next (`""` on the last)."""

    items: list[Model]
    next: str


def _text(value: str) -> str:
    """Return a stranger's `value` fit for a query: PostgreSQL takes no NUL."""
    return value.replace("\0", "\ufffd")


# ------------------------------------------------------------------ owners, models


def find_owner(name: str) -> Owner | None:
    """Return the owner of that name in whatever case, or None."""
    return Owner.objects.filter(name__iexact=_text(name)).first()


def find_model(name: str, user: Caller = None) -> Model:
    """Return the model called `owner/name` or `owner--name`.

    Raises:
        UnknownModelError: there is none, or none that `user` may know of.
    """
    owner, separator, rest = name.partition("/")
    if not separator:
        owner, separator, rest = name.partition("--")
    model = (
        Model.objects.select_related("owner", "head")
        .filter(owner__name__iexact=_text(owner), name__iexact=_text(rest))
        .first()
    )
    if model is None or not may_read(user, model):
        raise UnknownModelError(f"There is no model '{name[:200]}'.", model=name[:200])
    return model


def _newest() -> QuerySet[Release]:
    return Release.objects.filter(model=OuterRef("pk"), yanked_at=None).order_by("-number")


def _with_latest(models: QuerySet[Model]) -> QuerySet[Model]:
    return models.select_related("owner").annotate(
        latest=Subquery(_newest().values("version")[:1]),
        latest_revision=Subquery(_newest().values("revision_id")[:1]),
    )


def released_models(user: Caller = None) -> QuerySet[Model]:
    """Return the models that have a release, newest first, each with `latest` (its version)."""
    models = Model.objects.filter(readable(user), Exists(_newest()))
    return _with_latest(models).order_by("-updated_at", "id")


def models_page(
    user: Caller = None, *, owner: str = "", search: str = "", cursor: str = "", limit: int = PAGE
) -> Page:
    """Return the models that `user` may know of, newest first, each with `latest` or None.

    Raises:
        InvalidInputError: a cursor that this function did not make.
    """
    models = _with_latest(Model.objects.filter(readable(user)))
    if owner:
        models = models.filter(owner__name__iexact=_text(owner))
    for word in _text(search).split()[:8]:
        models = models.filter(Q(name__icontains=word) | Q(owner__name__icontains=word))
    if cursor:
        at, pk = _read_cursor(cursor)
        models = models.filter(Q(updated_at__lt=at) | Q(updated_at=at, pk__gt=pk))
    items = list(models.order_by("-updated_at", "id")[: limit + 1])
    more = len(items) > limit
    return Page(items=items[:limit], next=_cursor(items[limit - 1]) if more else "")


def _cursor(model: Model) -> str:
    text = f"{int(model.updated_at.timestamp())}.{model.updated_at.microsecond}.{model.pk}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[datetime, int]:
    try:
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        seconds, micros, pk = base64.urlsafe_b64decode(padded).decode("ascii").split(".")
        at = datetime.fromtimestamp(int(seconds), UTC).replace(microsecond=int(micros))
        if not 0 <= int(pk) < 2**63:
            raise ValueError(pk)
    except (ValueError, OverflowError, OSError, binascii.Error):
        raise InvalidInputError("This cursor was not made here.", field="cursor") from None
    return at, int(pk)


# ------------------------------------------------------------------ revisions and releases


def find_revision(model: Model, revision_id: str, user: Caller = None) -> Revision:
    """Return a revision of `model`; those that did not pass are known to writers only.

    Raises:
        UnknownRevisionError: there is none that `user` may know of.
    """
    revision = (
        Revision.objects.select_related("model__owner", "author", "release")
        .filter(pk=_text(revision_id), model=model)
        .first()
    )
    if revision is None or not (
        revision.state in INSPECTED or may_write(user, revision.model.owner)
    ):
        raise UnknownRevisionError(
            f"{model.full_name} has no revision '{revision_id[:80]}'.", revision=revision_id[:80]
        )
    return revision


def releases(model: Model) -> QuerySet[Release]:
    """Return the releases of `model`, newest first, with all that a list shows."""
    return (
        Release.objects.filter(model=model)
        .select_related("model__owner", "revision", "key", "author")
        .prefetch_related("claims__entry")
        .order_by("-number")
    )


def find_release(model: Model, version: str) -> Release:
    """Return the release of that version; UnknownRevisionError when there is none."""
    release = releases(model).filter(version__iexact=_text(version)).first()
    if release is None:
        raise UnknownRevisionError(
            f"{model.full_name} has no release '{version[:96]}'.", version=version[:96]
        )
    return release


def newest_release(model: Model) -> Release | None:
    """Return the newest release that was not withdrawn."""
    return releases(model).filter(yanked_at=None).first()


def resolve(model: Model, version: str | None, *, user: Caller = None) -> Runnable:
    """Return what `version` names: a release's version, an alias, or a whole revision id.

    None and `""` name the newest release that was not withdrawn; a withdrawn one still answers to
    its own version, so that nothing breaks that was pinned to it.

    Raises:
        NotReleasedError: the model, or that revision of it, was never signed and released.
        UnknownRevisionError: the model has nothing of that name.
        NoGraphError: it can be downloaded and not run.
    """
    if not version:
        release = newest_release(model)
        if release is None:
            raise NotReleasedError(
                f"{model.full_name} has no release yet: its owner has to sign one.",
                model=model.full_name,
            )
    elif REVISION_ID.fullmatch(version):
        release = _release_of_revision(model, version, user)
    else:
        alias = Alias.objects.filter(model=model, name__iexact=_text(version)).first()
        release = releases(model).get(pk=alias.release_id) if alias else None
        release = release or find_release(model, version)
    if not release.revision.graph_path:
        raise NoGraphError(
            f"{model.full_name} {release.version} holds no ONNX graph and cannot be run.",
            version=release.version,
        )
    return Runnable(revision=release.revision, release=release, version=release.version)


def _release_of_revision(model: Model, revision_id: str, user: Caller) -> Release:
    release = releases(model).filter(revision_id=revision_id).first()
    if release is None:
        find_revision(model, revision_id, user)
        raise NotReleasedError(
            f"Revision {revision_id} is not signed and released.", revision=revision_id
        )
    return release


# ------------------------------------------------------------------ files


def files(revision: Revision) -> QuerySet[RevisionFile]:
    """Return the files of `revision` with their blobs, by path."""
    return RevisionFile.objects.filter(revision=revision).select_related("blob").order_by("path")


def file_of(revision: Revision, path: str) -> RevisionFile:
    """Return the file at `path`; UnknownFileError when the revision has none."""
    file = files(revision).filter(path=_text(path)).first()
    if file is None:
        raise UnknownFileError(
            f"Revision {revision.pk} has no file '{path[:200]}'.",
            path=path[:200],
            revision=revision.pk,
        )
    return file


def resources(revision: Revision) -> list[tuple[str, str]]:
    """Return the (path, hex SHA-256) pairs of the manifest, sorted by code point, as OMS does."""
    manifest = manifest_of(revision)
    return [(item.name, item.sha256) for item in manifest.resources]


def manifest_of(revision: Revision) -> Manifest:
    """Return the manifest of `revision`."""
    return Manifest.from_pairs(revision.files.values_list("path", "blob_id"))


def subject_digest(revision: Revision) -> str | None:
    """Return OMS's subject digest of the files; None when there is nothing to sign."""
    kept = [name for name in revision.files.values_list("path", flat=True) if not is_ignored(name)]
    return manifest_of(revision).subject_digest if kept else None


def facts(revision: Revision) -> dict[str, Any]:
    """Return what the inspection found in the graph: inputs, outputs, opset, operators."""
    found = revision.report.get("facts", {})
    return found if isinstance(found, dict) else {}


def usable(user: AbstractBaseUser, digests: Iterable[str]) -> set[str]:
    """Return those of `digests` whose content `user` brought, or may read in some model."""
    wanted = set(digests)
    held = set(
        Holding.objects.filter(user_id=user.pk, blob_id__in=wanted).values_list(
            "blob_id", flat=True
        )
    )
    shown = RevisionFile.objects.filter(
        Q(revision__state__in=INSPECTED) | Q(revision__model__owner__user_id=user.pk),
        readable(user, "revision__model__"),
        blob_id__in=wanted - held,
    )
    return held.union(shown.values_list("blob_id", flat=True).distinct())


def public_blob(sha256: str) -> Blob:
    """Return content that anyone may have: a file of a released revision of a public model.

    Raises:
        UnknownFileError: no such content, or none that is public.
    """
    file = (
        RevisionFile.objects.filter(
            blob_id=_text(sha256),
            revision__model__visibility=Visibility.PUBLIC,
            revision__release__isnull=False,
        )
        .select_related("blob")
        .first()
    )
    if file is None:
        raise UnknownFileError("No public content has this digest.", sha256=sha256[:80])
    return file.blob


# ------------------------------------------------------------------ keys and claims


def find_key(fingerprint: str) -> Key:
    """Return a registered key; UnknownKeyError when there is none."""
    key = published_keys().filter(pk=_text(fingerprint)).first()
    if key is None:
        raise UnknownKeyError("No such key is registered.", fingerprint=fingerprint[:80])
    return key


def published_keys() -> QuerySet[Key]:
    """Return every key with owner, registration and revocation, oldest first."""
    return Key.objects.select_related("owner", "entry", "revocation").order_by("created_at", "pk")


def keys_of(owner: str = "") -> QuerySet[Key]:
    """Return the keys of the owner of that name, or (`""`) all."""
    keys = published_keys()
    return keys.filter(owner__name__iexact=_text(owner)) if owner else keys


def releases_of_key(key: Key, user: Caller = None) -> QuerySet[Release]:
    """Return what `key` released and `user` may know of, newest first."""
    return (
        Release.objects.filter(readable(user, "model__"), key=key)
        .select_related("model__owner", "revision")
        .order_by("-created_at", "-pk")
    )


def public_key(key: Key) -> PublicKey:
    """Return the public key of a row."""
    return PublicKey(spki=bytes(key.spki))


def oms_bundle(release: Release) -> bytes:
    """Return `model.sig` of `release`: its model signature as a Sigstore bundle with our log entry.

    The hint at the key has model_signing's form: the ledger knows the kind.

    Raises:
        NotIncludedError: (of the ledger) no published checkpoint covers the entry yet.
    """
    claim = release.claims.get(kind=ClaimKind.MODEL_SIGNATURE)
    return ledger.receipt(claim.entry_id)
