"""The shape of owners, members, requests, tokens and audit rows: in, and out."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from assay.statements import timestamp
from registry.choices import AccessState, Gate, Role, TokenScope, Visibility
from registry.models import (
    AccessRequest,
    ApiToken,
    AuditEvent,
    Closing,
    Membership,
    Owner,
    Transfer,
)
from registry.services.tokens import DAYS, MAX_DAYS, MAX_LEAKED, MAX_LIMITS

# ------------------------------------------------------------------ in


class OrganisationIn(serializers.Serializer[Any]):
    """`POST organisations`."""

    name = serializers.CharField(max_length=200)
    title = serializers.CharField(max_length=80, allow_blank=True, default="")


class OwnerIn(serializers.Serializer[Any]):
    """`PATCH owners/{owner}`."""

    title = serializers.CharField(max_length=80, allow_blank=True)


class MemberIn(serializers.Serializer[Any]):
    """`POST owners/{owner}/members`."""

    name = serializers.CharField(max_length=96)
    role = serializers.ChoiceField(choices=Role.choices)


class RoleIn(serializers.Serializer[Any]):
    """`PATCH owners/{owner}/members/{member}`."""

    role = serializers.ChoiceField(choices=Role.choices)


class TransferIn(serializers.Serializer[Any]):
    """`POST models/{owner}/{name}/transfers`."""

    to = serializers.CharField(max_length=96)


class VisibilityIn(serializers.Serializer[Any]):
    """`PUT models/{owner}/{name}/visibility`."""

    visibility = serializers.ChoiceField(choices=Visibility.choices)
    gate = serializers.ChoiceField(
        choices=Gate.choices, required=False, allow_null=True, default=None
    )
    terms = serializers.CharField(
        max_length=4_000, required=False, allow_null=True, allow_blank=True, default=None
    )


class AccessIn(serializers.Serializer[Any]):
    """`PUT models/{owner}/{name}/access/mine`."""

    reason = serializers.CharField(max_length=1_000)


class DecisionIn(serializers.Serializer[Any]):
    """`PUT models/{owner}/{name}/access/requests/{person}`."""

    state = serializers.ChoiceField(choices=[AccessState.APPROVED, AccessState.DECLINED])


class TokenIn(serializers.Serializer[Any]):
    """`POST tokens`."""

    name = serializers.CharField(max_length=80)
    scope = serializers.ChoiceField(choices=TokenScope.choices, default=TokenScope.READ)
    days = serializers.IntegerField(min_value=1, max_value=MAX_DAYS, default=DAYS)
    owners = serializers.ListField(
        child=serializers.CharField(max_length=96), max_length=MAX_LIMITS, default=list
    )
    models = serializers.ListField(
        child=serializers.CharField(max_length=200), max_length=MAX_LIMITS, default=list
    )


class LeakedIn(serializers.Serializer[Any]):
    """`POST tokens/revocation`."""

    tokens = serializers.ListField(
        child=serializers.CharField(max_length=200), min_length=1, max_length=MAX_LEAKED
    )


class ClosingIn(serializers.Serializer[Any]):
    """`DELETE account`, `DELETE owners/{owner}`, `DELETE models/{owner}/{name}`: the name again."""

    name = serializers.CharField(max_length=200)


class AccountClosingIn(ClosingIn):
    """`DELETE account`: the name again, and the organisation that gets the models."""

    to = serializers.CharField(max_length=96, required=False, default="", allow_blank=True)


# ------------------------------------------------------------------ out


def closing(row: Closing) -> dict[str, Any]:
    """Return the wish to close an account."""
    return {"closes_at": timestamp(row.due_at), "to": row.to.name if row.to else None}


def owner(row: Owner, role: Role | None) -> dict[str, Any]:
    """Return an owner; `role` is the caller's there."""
    return {
        "name": row.name,
        "kind": row.kind,
        "title": row.title,
        "created_at": timestamp(row.created_at),
        "role": role,
    }


def member(row: Membership) -> dict[str, Any]:
    """Return a member, or who is invited."""
    return {
        "name": row.user.get_username(),
        "role": row.role,
        "state": row.state,
        "since": timestamp(row.created_at),
    }


def invitation(row: Membership) -> dict[str, Any]:
    """Return an invitation as who is invited sees it."""
    return {
        "owner": row.owner.name,
        "role": row.role,
        "invited_by": row.invited_by.get_username() if row.invited_by else None,
        "created_at": timestamp(row.created_at),
    }


def transfer(row: Transfer) -> dict[str, Any]:
    """Return a transfer; `model` is the name of today."""
    return {
        "id": row.pk,
        "model": row.model.full_name,
        "from": row.source.name,
        "to": row.target.name,
        "state": row.state,
        "asked_by": row.asked_by.get_username(),
        "created_at": timestamp(row.created_at),
        "decided_at": timestamp(row.decided_at) if row.decided_at else None,
    }


def access(row: AccessRequest) -> dict[str, Any]:
    """Return a request for the files of a gated model."""
    return {
        "name": row.user.get_username(),
        "reason": row.reason,
        "state": row.state,
        "asked_at": timestamp(row.asked_at),
        "decided_at": timestamp(row.decided_at) if row.decided_at else None,
    }


def token(row: ApiToken) -> dict[str, Any]:
    """Return a token without its text."""
    return {
        "id": row.digest,
        "prefix": row.prefix,
        "name": row.name,
        "scope": row.scope,
        "limits": [
            {"owner": limit.owner.name} if limit.owner else {"model": str(limit.model)}
            for limit in row.limits.all()
        ],
        "created_at": timestamp(row.created),
        "expires_at": timestamp(row.expiry) if row.expiry else None,
        "last_used_at": timestamp(row.last_used_at) if row.last_used_at else None,
    }


def event(row: AuditEvent) -> dict[str, Any]:
    """Return an audit row."""
    return {
        "id": row.pk,
        "action": row.action,
        "target": row.target,
        "owner": row.owner.name if row.owner else None,
        "model": row.model.full_name if row.model else None,
        "by": row.user.get_username() if row.user else None,
        "token": row.token or None,
        "data": row.data,
        "created_at": timestamp(row.created_at),
    }
