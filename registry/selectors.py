"""Reads across tables. What the caller may not know of is absent here, not forbidden."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Exists, FilteredRelation, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Lower

from assay.dsse import PublicKey
from assay.manifest import Manifest, is_ignored
from ledger import services as ledger
from registry import moderated
from registry.choices import Action, ClaimKind, RevisionState, Standing
from registry.errors import (
    MovedError,
    NoGraphError,
    NotReleasedError,
    UnknownFileError,
    UnknownKeyError,
    UnknownRevisionError,
)
from registry.models import (
    Blob,
    FormerName,
    Holding,
    Key,
    Model,
    Owner,
    Release,
    Revision,
    RevisionFile,
)
from registry.rights import (
    Caller,
    fetchable,
    may_read,
    owned,
    readable,
    remember,
    sees_drafts,
    standing,
    unknown_model,
)

INSPECTED = (RevisionState.PASSED, RevisionState.FLAGGED)
PAGE = 30
REVISION_ID = re.compile(r"[0-9a-f]{40}")
LATEST = "latest"  # an alias that every model has: nobody moves it
STANDS = Q(yanked_at=None, standing=Standing.GOOD)  # neither withdrawn nor stopped by moderators


@dataclass(frozen=True, slots=True, kw_only=True)
class Runnable:
    """What a request for a model and a version leads to."""

    revision: Revision
    release: Release
    version: str


def _text(value: str) -> str:
    """Return a stranger's `value` fit for a query: PostgreSQL takes no NUL."""
    return value.replace("\0", "\ufffd")


# ------------------------------------------------------------------ owners, models


def find_owner(name: str) -> Owner | None:
    """Return the owner of that name in whatever case, or None."""
    return Owner.objects.alias(lower=Lower("name")).filter(lower=_text(name).lower()).first()


def find_model(
    name: str, user: Caller = None, *, follow: bool = False, reading: bool = False
) -> Model:
    """Return the model called `owner/name` or `owner--name`; `follow`: or that once was.

    `reading` says that the request changes nothing: then the caller's role is asked for once.

    Raises:
        UnknownModelError: there is none, or none that `user` may know of.
        TakenDownError: moderators took it down.
        MovedError: it has another owner now, and that name (unless `follow`).
    """
    owner, separator, rest = name.partition("/")
    if not separator:
        owner, separator, rest = name.partition("--")
    rows = (
        Model.objects.select_related("owner", "head", "total")
        .alias(lower_owner=Lower("owner__name"), lower=Lower("name"))  # which have indexes
        .filter(lower_owner=_text(owner).lower(), lower=_text(rest).lower())
    )
    model: Model | None = (rows.annotate(**standing(user)) if reading else rows).first()
    if model is not None and reading:
        remember(user, model)
    if model is None and (moved := _formerly(f"{owner}/{rest}")) is not None:
        if may_read(user, moved) and not follow:
            raise MovedError(
                f"{owner}/{rest} is {moved.full_name} now.",
                model=f"{owner}/{rest}",
                now=moved.full_name,
            )
        model = moved
    if model is None or not may_read(user, model):
        raise unknown_model(name)
    moderated.need_up(model)
    return model


def _formerly(name: str) -> Model | None:
    former = (
        FormerName.objects.select_related("model__owner", "model__head")
        .alias(lower=Lower("name"))
        .filter(lower=_text(name).lower())
        .first()
    )
    return None if former is None else former.model


def _newest() -> QuerySet[Release]:
    return Release.objects.filter(STANDS, model=OuterRef("pk")).order_by("-number")


def _with_latest(models: QuerySet[Model]) -> QuerySet[Model]:
    return models.select_related("owner").annotate(
        latest=Subquery(_newest().values("version")[:1]),
        latest_revision=Subquery(_newest().values("revision_id")[:1]),
    )


def released_models(user: Caller = None) -> QuerySet[Model]:
    """Return the models that have a release, newest first, each with `latest` (its version)."""
    models = Model.objects.filter(readable(user), Exists(_newest()))
    return _with_latest(models).order_by("-updated_at", "id")


# ------------------------------------------------------------------ revisions and releases


def find_revision(model: Model, revision_id: str, user: Caller = None) -> Revision:
    """Return a revision of `model`; those that did not pass are known to writers only.

    Raises:
        UnknownRevisionError: there is none that `user` may know of.
        TakenDownError: moderators took down its release.
    """
    revision = (
        Revision.objects.select_related("model__owner", "author", "release")
        .filter(pk=_text(revision_id), model=model)
        .first()
    )
    if revision is None or not (revision.state in INSPECTED or sees_drafts(user, revision.model)):
        raise UnknownRevisionError(
            f"{model.full_name} has no revision '{revision_id[:80]}'.", revision=revision_id[:80]
        )
    moderated.need_up(getattr(revision, "release", None))
    return revision


def revisions(model: Model, user: Caller = None) -> QuerySet[Revision]:
    """Return the revisions of `model` that `user` may know of, without what is large."""
    rows = Revision.objects.filter(model=model).select_related("author", "release")
    if not sees_drafts(user, model):
        rows = rows.filter(state__in=INSPECTED)
    return rows.defer("report", "card_metadata", "card_body", "release__notes")


def releases(model: Model) -> QuerySet[Release]:
    """Return the releases of `model`, newest first, with all that a list shows.

    Each has `previous_key`, the key of the release before it, None for the first, and
    `signed_before`: whether its key signed an earlier one.
    """
    before = Release.objects.filter(model=OuterRef("model"), number__lt=OuterRef("number"))
    return (
        Release.objects.filter(model=model)
        .select_related("model__owner", "revision", "key__owner", "author", "ci__run__publisher")
        .annotate(
            previous_key=Subquery(before.order_by("-number").values("key_id")[:1]),
            signed_before=Exists(before.filter(key=OuterRef("key"))),
        )
        .prefetch_related("claims__entry")
        .order_by("-number")
    )


def releases_with_statement(model: Model) -> QuerySet[Release]:
    """Return `releases` with the claim `statement`, that about the release, instead of all."""
    statement = FilteredRelation("claims", condition=Q(claims__kind=ClaimKind.RELEASE))
    rows = releases(model).prefetch_related(None).annotate(statement=statement)
    return rows.select_related(
        *("model__owner", "revision", "key__owner", "author", "ci__run__publisher"),
        "statement__entry",  # type: ignore[misc]  # the plugin knows no filtered relation here
    )


def find_release(model: Model, version: str) -> Release:
    """Return the release of that version; UnknownRevisionError when there is none."""
    release = releases(model).filter(version__iexact=_text(version)).first()
    if release is None:
        raise UnknownRevisionError(
            f"{model.full_name} has no release '{version[:96]}'.", version=version[:96]
        )
    return release


def release_before(release: Release) -> Release | None:
    """Return the release before, withdrawn or not; None for the first of its model, unasked."""
    if release.number == 1:
        return None
    rows = Release.objects.select_related("revision")
    return rows.get(model=release.model_id, number=release.number - 1)


def newest_release(model: Model) -> Release | None:
    """Return the newest release that was neither withdrawn nor stopped by moderators."""
    return releases(model).filter(STANDS).first()


def find_version(
    model: Model, version: str | None, *, user: Caller = None, claims: bool = False
) -> Release:
    """Return the release that `version` names: a version, an alias, `latest`, a revision's id.

    `latest`, None and `""` name the newest release that was not withdrawn; a withdrawn one still
    answers to its own version and to aliases, so that nothing breaks that was pinned to it. So does
    one that moderators hid, for its evidence.
    `claims` fetches those of the release with it.

    Raises:
        NotReleasedError: the model, or that revision of it, was never signed and released.
        UnknownRevisionError: the model has nothing of that name.
        TakenDownError: moderators took it down.
    """
    release = _find_version(model, version, user=user, claims=claims)
    moderated.need_up(release)
    return release


def _find_version(model: Model, version: str | None, *, user: Caller, claims: bool) -> Release:
    rows = releases(model) if claims else releases(model).prefetch_related(None)
    if version and REVISION_ID.fullmatch(version):
        return _release_of_revision(rows, model, version, user)
    if version:
        name = _text(version)
        named = Q(version__iexact=name) | Q(aliases__name__iexact=name)
        found = rows.filter(named).first()
        if found is not None:
            return found
        if version.lower() != LATEST:
            return find_release(model, version)
    release = rows.filter(STANDS).first()
    if release is None:
        raise NotReleasedError(
            f"{model.full_name} has no release yet: its owner has to sign one.",
            model=model.full_name,
        )
    return release


def resolve(model: Model, version: str | None, *, user: Caller = None) -> Runnable:
    """Return what runs when `version` is asked for; the names are those of `find_version`.

    Raises:
        NotReleasedError, UnknownRevisionError: as `find_version`.
        NoGraphError: it can be downloaded and not run.
        TakenDownError, HiddenError: moderators stopped the release, or one of its files.
    """
    release = find_version(model, version, user=user)
    moderated.need_good(release)
    moderated.need_content(release.revision_id)
    if not release.revision.graph_path:
        raise NoGraphError(
            f"{model.full_name} {release.version} holds no ONNX graph and cannot be run.",
            version=release.version,
        )
    return Runnable(revision=release.revision, release=release, version=release.version)


def _release_of_revision(
    rows: QuerySet[Release], model: Model, revision_id: str, user: Caller
) -> Release:
    release = rows.filter(revision_id=revision_id).first()
    if release is None:
        find_revision(model, revision_id, user)
        raise NotReleasedError(
            f"Revision {revision_id} is not signed and released.", revision=revision_id
        )
    return release


# ------------------------------------------------------------------ files


def files(revision: Revision) -> QuerySet[RevisionFile]:
    """Return the files of `revision` with their blobs, by path."""
    return files_of([revision])


def files_of(revisions: Iterable[Revision]) -> QuerySet[RevisionFile]:
    """Return the files of all these revisions with their blobs, by path."""
    rows = RevisionFile.objects.filter(revision__in=[revision.pk for revision in revisions])
    return rows.select_related("blob").order_by("path")


def file_of(revision: Revision, path: str) -> RevisionFile:
    """Return the file at `path`, to be given out.

    Raises:
        UnknownFileError: the revision has none.
        TakenDownError, HiddenError: moderators stopped it, or the release that it is of.
    """
    file = files(revision).filter(path=_text(path)).first()
    if file is None:
        raise UnknownFileError(
            f"Revision {revision.pk} has no file '{path[:200]}'.",
            path=path[:200],
            revision=revision.pk,
        )
    moderated.need_good(getattr(revision, "release", None), file.blob)
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
    """Return those of `digests` whose content `user` brought, or may read in some model.

    What moderators stopped is read by nobody: who did not bring it, and may not write where it is,
    does not get it by taking it into a model of their own.
    """
    wanted = set(digests)
    held = set(
        Holding.objects.filter(user_id=user.pk, blob_id__in=wanted).values_list(
            "blob_id", flat=True
        )
    )
    stands = Q(blob__standing="", revision__model__standing="") & (
        Q(revision__release=None) | Q(revision__release__standing="")
    )
    shown = RevisionFile.objects.filter(
        Q(stands, revision__state__in=INSPECTED) | owned(user, Action.WRITE, "revision__model__"),
        fetchable(user, "revision__model__"),
        blob_id__in=wanted - held,
    )
    return held.union(shown.values_list("blob_id", flat=True).distinct())


def public_blob(sha256: str) -> Blob:
    """Return content that anyone may have: a file of a released revision of a public model.

    Raises:
        UnknownFileError: no such content, or none that is public.
        TakenDownError, HiddenError: moderators stopped it, or all that it is a file of.
    """
    file = (
        RevisionFile.objects.filter(
            fetchable(None, "revision__model__"),
            blob_id=_text(sha256),
            revision__release__isnull=False,
        )
        .select_related("blob", "revision__release", "revision__model")
        .order_by("revision__model__standing", "revision__release__standing")
        .first()
    )
    if file is None:
        raise UnknownFileError("No public content has this digest.", sha256=sha256[:80])
    moderated.need_good(file.blob, file.revision.release, file.revision.model)
    return file.blob


# ------------------------------------------------------------------ keys and claims


def find_key(fingerprint: str) -> Key:
    """Return a registered key; UnknownKeyError when there is none."""
    key = published_keys().filter(pk=_text(fingerprint)).first()
    if key is None:
        raise UnknownKeyError("No such key is registered.", fingerprint=fingerprint[:80])
    return key


def published_keys() -> QuerySet[Key]:
    """Return every key with owner, registration and how it ended, oldest first."""
    return Key.objects.select_related("owner", "entry", "supersession", "revocation").order_by(
        "created_at", "pk"
    )


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
