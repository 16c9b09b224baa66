"""Trusted publishing: a build proves by its ID token who it is, and gets a token for one model.

An owner says for a model: a run of this workflow in this repository may publish. `exchange`, in
this order:

1. The token is one of a trusted issuer, for this site, now (`registry.issuers`).
2. The model has a publisher with the token's repository, workflow and environment. A repository
   that was deleted and made again under its name has other ids than those of the first run here.
3. Whoever trusted that workflow may still release the model.
4. COMMIT POINT: the run with its `jti`, which the database takes once for each issuer, and an API
   token of scope `publish`, limited to the model, for fifteen minutes; in one transaction. An
   answer that is lost is not asked for again: the build asks its own service for a new ID token.

Nothing here signs: the release still needs the signature of a registered key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from registry.choices import Action, TokenScope
from registry.errors import (
    ConflictError,
    InvalidInputError,
    NotAllowedError,
    ReplayedTokenError,
    UnknownPublisherError,
)
from registry.idtoken import parse_token
from registry.issuers import ISSUERS, trusted_issuers
from registry.models import (
    ApiToken,
    Model,
    Release,
    ReleaseRun,
    TokenLimit,
    TrustedPublisher,
    TrustedRun,
)
from registry.rights import can, need, token_of
from registry.services import audit

LIFE = timedelta(minutes=15)
MAX_PUBLISHERS = 20
_REPOSITORY = re.compile(r"[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._-]{1,100}")
_WORKFLOW = re.compile(r"[A-Za-z0-9._-]{1,190}\.ya?ml")
_ENVIRONMENT = re.compile(r"[^\x00-\x1f\x7f]{0,255}")
# What pages show of a run, in this order; each is kept as the token had it, cut.
SHOWN = (
    *("repository", "repository_id", "repository_owner_id", "job_workflow_ref", "workflow_ref"),
    *("environment", "ref", "sha", "event_name", "actor", "run_id", "run_attempt"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What a run gets: `token` is shown this once."""

    token: str
    expires_at: datetime
    model: Model


# ------------------------------------------------------------------ who is trusted


def publishers(model: Model) -> QuerySet[TrustedPublisher]:
    """Return the trusted publishers of `model`, oldest first."""
    rows = TrustedPublisher.objects.filter(model=model, removed_at=None)
    return rows.select_related("created_by").order_by("created_at", "pk")


def add(
    user: AbstractBaseUser,
    model: Model,
    *,
    repository: str,
    workflow: str,
    environment: str = "",
    issuer: str = "",
) -> TrustedPublisher:
    """Let a workflow publish `model`. `issuer` is one of the settings, by default the first.

    Raises:
        NotAllowedError, UnknownModelError: the caller may not change the model's settings.
        InvalidInputError: a value that is none.
        ConflictError: it is trusted already, or there are too many.
    """
    need(user, Action.SETTINGS, model)
    issuer = _check_issuer(issuer)
    for field, pattern, value in (
        ("repository", _REPOSITORY, repository),
        ("workflow", _WORKFLOW, workflow),
        ("environment", _ENVIRONMENT, environment),
    ):
        if pattern.fullmatch(value) is None:
            raise InvalidInputError(_SHAPES[field], field=field, value=value[:200])
    with transaction.atomic():
        Model.objects.select_for_update(no_key=True).get(pk=model.pk)
        found = publishers(model)
        if found.count() >= MAX_PUBLISHERS:
            raise ConflictError(f"A model has at most {MAX_PUBLISHERS} trusted publishers.")
        values: dict[str, Any] = {
            "issuer": issuer,
            "repository": repository,
            "workflow": workflow,
            "environment": environment,
        }
        if found.filter(**values).exists():
            raise ConflictError("This workflow is trusted already.", **values)
        row = TrustedPublisher.objects.create(model=model, created_by_id=user.pk, **values)
        audit.note(user, "trusted.add", model.full_name, id=row.pk, **values)
    return row


_SHAPES = {
    "repository": "A repository is owner/name, as the build service spells it.",
    "workflow": "A workflow is the name of a file in .github/workflows, such as release.yml.",
    "environment": "An environment's name has at most 255 characters.",
}


def _check_issuer(issuer: str) -> str:
    known = trusted_issuers()
    if not known:
        raise NotAllowedError("This site trusts no issuer: its operator sets TRUSTED_ISSUERS.")
    chosen = issuer.rstrip("/") or known[0]
    if chosen not in known:
        raise InvalidInputError(
            f"An issuer is one of: {', '.join(known)}.", field="issuer", value=issuer[:300]
        )
    return chosen


def remove(user: AbstractBaseUser, model: Model, publisher_id: int) -> None:
    """Trust a publisher no more; the tokens that its runs hold end at once.

    Raises:
        NotAllowedError, UnknownModelError: the caller may not change the model's settings.
        UnknownPublisherError: the model has no such publisher.
    """
    need(user, Action.SETTINGS, model)
    with transaction.atomic():
        row = (
            publishers(model)
            .select_for_update(no_key=True, of=("self",))
            .filter(pk=publisher_id)
            .first()
        )
        if row is None:
            raise UnknownPublisherError("The model has no such trusted publisher.")
        row.removed_at = timezone.now()
        row.save(update_fields=("removed_at",))
        digests = row.runs.filter(expires_at__gt=timezone.now()).values("token_digest")
        ApiToken.objects.filter(digest__in=digests).delete()
        audit.note(user, "trusted.remove", model.full_name, id=row.pk)


# ------------------------------------------------------------------ a run


def exchange(name: str, text: str) -> Granted:
    """Exchange an ID token for an API token of the model called `name` (`owner/name`).

    A model that is not there and one that does not trust the run answer alike.

    Raises:
        BadTokenError: step 1; UntrustedIssuerError, IssuerAwayError as `Issuers.claims`.
        UnknownPublisherError: step 2.
        NotAllowedError: step 3.
        ReplayedTokenError: the token was exchanged before.
    """
    now = timezone.now()
    token = parse_token(text)
    issuer, claims = ISSUERS.claims(token, audience=settings.SITE_URL, now=int(now.timestamp()))
    try:
        with transaction.atomic():
            return _grant(name, issuer.rstrip("/"), claims, now)
    except IntegrityError:
        raise ReplayedTokenError("This ID token was exchanged before.") from None


def _grant(name: str, issuer: str, claims: dict[str, Any], now: datetime) -> Granted:
    publisher = _matching(name, issuer, claims)
    model, user = publisher.model, publisher.created_by
    if not (user.is_active and can(user, Action.RELEASE, model)):
        raise NotAllowedError(
            "Whoever trusted this workflow may no longer release this model: somebody who may has "
            "to trust it again.",
            model=model.full_name,
        )
    row, secret = ApiToken.objects.create(
        user,
        expiry=LIFE,
        name=f"run of {publisher.repository}"[:80],
        scope=TokenScope.PUBLISH,
        limited=True,
    )
    TokenLimit.objects.create(token=row, model=model)
    run = TrustedRun.objects.create(
        publisher=publisher,
        issuer=issuer,
        jti=claims["jti"],
        claims=_shown(claims),
        token_digest=row.digest,
        expires_at=now + LIFE,
    )
    audit.note(user, "trusted.exchange", model.full_name, publisher=publisher.pk, run=run.pk)
    return Granted(token=str(secret), expires_at=run.expires_at, model=model)


def _matching(name: str, issuer: str, claims: dict[str, Any]) -> TrustedPublisher:
    """Return the publisher that the claims are a run of, and pin its ids at the first."""
    owner, _, model = name.partition("/")
    rows = TrustedPublisher.objects.filter(
        model__owner__name__iexact=owner,
        model__name__iexact=model,
        model__deleted_at=None,
        issuer=issuer,
        removed_at=None,
    )
    found = rows.select_related("model__owner", "created_by").order_by("created_at", "pk")
    for row in found.select_for_update(no_key=True, of=("self",)):
        if _is_run_of(row, claims):
            _pin(row, claims)
            return row
    raise UnknownPublisherError(
        f"No trusted publisher of {name[:200]} is this run. Compare what its token says with what "
        "is configured.",
        **_shown(claims),
    )


def _is_run_of(row: TrustedPublisher, claims: dict[str, Any]) -> bool:
    """Compare repository, workflow and environment.

    The workflow is `job_workflow_ref`, the file that runs the job: a workflow of the same name that
    another repository lends out is another one.
    """
    path = f"{row.repository}/.github/workflows/{row.workflow}@"
    workflow = claims.get("job_workflow_ref", claims.get("workflow_ref"))
    return (
        claims.get("repository") == row.repository
        and isinstance(workflow, str)
        and workflow.startswith(path)
        and row.environment in ("", claims.get("environment"))
        and all(
            getattr(row, name) in ("", _shown(claims).get(name))
            for name in ("repository_id", "repository_owner_id")
        )
    )


def _pin(row: TrustedPublisher, claims: dict[str, Any]) -> None:
    told = _shown(claims)
    for name in ("repository_id", "repository_owner_id"):
        if not getattr(row, name):
            setattr(row, name, told.get(name, "")[:64])
    row.save(update_fields=("repository_id", "repository_owner_id"))


def _shown(claims: dict[str, Any]) -> dict[str, str]:
    found = {name: claims[name] for name in SHOWN if isinstance(claims.get(name), str | int)}
    return {name: str(value).replace("\0", "\ufffd")[:300] for name, value in found.items()}


# ------------------------------------------------------------------ what a run published


def mark(user: AbstractBaseUser, release: Release) -> None:
    """Note, in the caller's transaction, that `release` came from the run whose token was used."""
    token = token_of(user)
    if token is None:
        return
    run = TrustedRun.objects.filter(token_digest=token.digest).first()
    if run is not None:
        ReleaseRun.objects.create(release=release, run=run)


def run_of(release: Release) -> TrustedRun | None:
    """Return the run that published `release`, None when a person did."""
    return TrustedRun.objects.filter(releases__release=release).first()
