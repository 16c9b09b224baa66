"""`/api/v1/owners/<owner>/usage`: what an owner has, and may have."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from rest_framework.request import Request
from rest_framework.response import Response

from registry import selectors
from registry.api.base import AccountView, account
from registry.errors import NotAllowedError, UnknownOwnerError
from registry.models import Owner, TokenLimit
from registry.rights import role_in, token_of
from registry.services import quotas


class Usage(AccountView):
    """Bytes, models and uploads beside their limits, for its members."""

    def get(self, request: Request, owner: str) -> Response:
        found = selectors.find_owner(owner)
        if found is None or found.deleted_at is not None:
            raise UnknownOwnerError(f"There is no owner '{owner[:96]}'.", owner=owner[:96])
        _need_part(account(request), found)
        usage, limits = quotas.usage_of(found), quotas.limits_of(found)
        return Response(
            {
                "owner": found.name,
                "bytes": {
                    "stored": usage.stored,
                    "coming": usage.coming,
                    "limit": limits.bytes,
                },
                "models": {"used": usage.models, "limit": limits.models},
                "uploads": {"used": usage.uploads, "limit": limits.uploads},
            }
        )


def _need_part(user: AbstractBaseUser, owner: Owner) -> None:
    """Return when `user` is the owner or a member, and their token is not for others alone."""
    token = token_of(user)
    reached = TokenLimit.objects.filter(token=token, owner=owner)
    elsewhere = token is not None and token.limited and not reached.exists()
    if elsewhere or role_in(user, owner) is None:
        raise NotAllowedError(f"What {owner.name} has is its members' business.", owner=owner.name)
