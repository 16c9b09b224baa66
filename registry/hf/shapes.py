"""The shape of what hub clients read about accounts, models and commits: rows to JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from html import escape
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Sum
from django.utils import timezone

from assay.statements import timestamp
from registry.choices import MemberState, RevisionState, Role, TokenScope, Visibility
from registry.hf.files import POINTER_SIZE, is_regular, security, title
from registry.models import (
    ApiToken,
    DownloadCount,
    Membership,
    Model,
    Owner,
    Release,
    Revision,
)
from registry.selectors import files

DAYS = 30
_ROLES = {
    Role.READER: "read",
    Role.WRITER: "write",
    Role.PUBLISHER: "write",
    Role.ADMIN: "admin",
}


def whoami(user: AbstractBaseUser, token: ApiToken | None) -> dict[str, Any]:
    """Return the account behind a token."""
    owner = Owner.objects.filter(user_id=user.pk).first()
    name = owner.name if owner else user.get_username()
    access = {
        "displayName": token.name if token else "session",
        "role": "read" if token and token.scope == TokenScope.READ else "write",
        "createdAt": timestamp(token.created if token else timezone.now()),
    }
    return {
        "type": "user",
        "id": str(user.pk),
        "name": name,
        "fullname": name,
        "email": getattr(user, "email", ""),
        "emailVerified": False,
        "isPro": False,
        "canPay": False,
        "orgs": _orgs(user),
        "auth": {"type": "access_token", "accessToken": access},
    }


def _orgs(user: AbstractBaseUser) -> list[dict[str, Any]]:
    """Return the organisations of an account, each with the hub's word for its role there."""
    rows = Membership.objects.select_related("owner").filter(
        user_id=user.pk, state=MemberState.MEMBER, owner__deleted_at=None
    )
    return [
        {
            "type": "org",
            "id": str(row.owner_id),
            "name": row.owner.name,
            "fullname": row.owner.title or row.owner.name,
            "email": None,
            "isEnterprise": False,
            "roleInOrg": _ROLES[Role(row.role)],
        }
        for row in rows.order_by("owner__name")
    ]


def _org(row: Membership) -> dict[str, Any]:
    return {
        "type": "org",
        "id": f"org-{row.owner_id}",
        "name": row.owner.name,
        "fullname": row.owner.title or row.owner.name,
        "roleInOrg": {Role.READER: "read", Role.ADMIN: "admin"}.get(Role(row.role), "write"),
    }


def info(
    model: Model,
    revision: Revision | None,
    *,
    blobs: bool = False,
) -> dict[str, Any]:
    """Return what clients read of a model at `revision` (None: nothing that the caller may see)."""
    (found,) = infos([(model, revision)])
    return {**found, **(_files(revision, blobs=blobs) if revision else {})}


def infos(items: Sequence[tuple[Model, Revision | None]]) -> list[dict[str, Any]]:
    """Return what `info` returns of each model, without its files, in three queries."""
    recent, ever = downloads([model for model, _ in items])
    releases = {
        release.revision_id: release
        for release in Release.objects.filter(revision__in=[one for _, one in items if one])
    }
    return [
        _info(
            model,
            revision,
            releases.get(revision.pk) if revision else None,
            (recent.get(model.pk, 0), ever.get(model.pk, 0)),
        )
        for model, revision in items
    ]


def _info(
    model: Model, revision: Revision | None, release: Release | None, counts: tuple[int, int]
) -> dict[str, Any]:
    metadata = revision.card_metadata if revision else {}
    return {
        "_id": f"{model.pk:024x}",
        "id": model.full_name,
        "modelId": model.full_name,
        "author": model.owner.name,
        "sha": revision.pk if revision else None,
        "lastModified": timestamp(revision.created_at if revision else model.updated_at),
        "createdAt": timestamp(model.created_at),
        "private": model.visibility == Visibility.PRIVATE,
        "gated": str(model.gate) if model.visibility == Visibility.GATED else False,
        "disabled": False,
        "downloads": counts[0],
        "downloadsAllTime": counts[1],
        "likes": 0,
        "trendingScore": 0,
        "tags": tags(metadata),
        "pipeline_tag": metadata.get("pipeline_tag"),
        "library_name": metadata.get("library_name"),
        "cardData": metadata,
        "model-index": metadata.get("model-index"),
        "assay": assay(model, revision, release),
    }


def downloads(models: Iterable[Model]) -> tuple[dict[int, int], dict[int, int]]:
    """Return by model the downloads of the last 30 days, and those of all days."""
    counts = DownloadCount.objects.filter(model__in=models).values("model_id").order_by()
    ever = counts.annotate(n=Sum("count")).values_list("model_id", "n")
    since = timezone.now().date() - timedelta(days=DAYS)
    return dict(ever.filter(day__gt=since)), dict(ever)


def assay(model: Model, revision: Revision | None, release: Release | None) -> dict[str, Any]:
    """Return what only we say of a revision: whether its publisher signed it, and how it stands."""
    return {
        "signed": release is not None,
        "release": release.version if release else None,
        "state": str(revision.state) if revision else None,
        "manifest": revision.manifest if revision else None,
        "page": f"/models/{model.full_name}/",
    }


def released(revision: Revision | None) -> Release | None:
    """Return the release of a revision, None while it is unsigned."""
    return Release.objects.filter(revision=revision).first() if revision else None


def warning(revision: Revision) -> str:
    """Return the `X-HF-Warning` of a revision: waiting, failed, unsigned; `""` for a release."""
    if revision.state == RevisionState.PENDING:
        return (
            f"validation; Revision {revision.pk} waits for its inspection: until it has passed, "
            "only its writers can read it."
        )
    if revision.state == RevisionState.FAILED:
        return (
            f"validation; Revision {revision.pk} failed its inspection: only its writers can read "
            "it. Its page says why."
        )
    if released(revision) is None:
        return (
            f"unsigned; Revision {revision.pk} is unsigned: its publisher has not released it, and "
            "it cannot be run here."
        )
    return ""


def tags(metadata: dict[str, Any]) -> list[str]:
    """Return all that a filter may name: tags, library, task, languages, licence, origins."""
    found = [*_words(metadata.get("library_name")), *_words(metadata.get("tags"))]
    found += [*_words(metadata.get("pipeline_tag")), *_words(metadata.get("language"))]
    found += [f"license:{word}" for word in _words(metadata.get("license"))]
    found += [f"dataset:{word}" for word in _words(metadata.get("datasets"))]
    found += [f"base_model:{word}" for word in _words(metadata.get("base_model"))]
    return list(dict.fromkeys(found))


def _words(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, str) and item]


def _files(revision: Revision, *, blobs: bool) -> dict[str, Any]:
    rows = list(files(revision))
    found: list[dict[str, Any]] = [{"rfilename": row.path} for row in rows]
    if blobs:
        for one, row in zip(found, rows, strict=True):
            one |= {"size": row.blob.size, "blobId": row.blob.git_sha1}
            if not is_regular(row.path, row.blob.size):
                one["lfs"] = {
                    "sha256": row.blob_id,
                    "size": row.blob.size,
                    "pointerSize": POINTER_SIZE,
                }
    return {"siblings": found, "usedStorage": sum(row.blob.size for row in rows)}


def scan(revision: Revision) -> dict[str, Any]:
    """Return the inspection in the hub's words."""
    flagged = [] if revision.state == RevisionState.PASSED else revision.report.get("findings", [])
    return {
        "scansDone": revision.state != RevisionState.PENDING,
        "status": security(revision),
        "filesWithIssues": [
            {"path": item.get("place", ""), "level": security(revision), "code": item.get("code")}
            for item in flagged
        ],
    }


def commits(revisions: Iterable[Revision], *, formatted: bool = False) -> list[dict[str, Any]]:
    """Return commits as clients list them."""
    found = []
    for revision in revisions:
        body = revision.message.partition("\n")[2].strip()
        one: dict[str, Any] = {
            "id": revision.pk,
            "title": title(revision),
            "message": body,
            "date": timestamp(revision.created_at),
            "authors": [{"user": revision.author.get_username()}],
        }
        if formatted:
            one["formatted"] = {"title": escape(title(revision)), "message": escape(body)}
        found.append(one)
    return found
