"""`/api/v1/owners/<owner>/usage`: what an owner has, and may have."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from registry import selectors
from registry.api.base import AccountView, account
from registry.errors import NotAllowedError, UnknownOwnerError
from registry.rights import sees_drafts
from registry.services import quotas


class Usage(AccountView):
    """Bytes, models and uploads beside their limits, for its members."""

    def get(self, request: Request, owner: str) -> Response:
        found = selectors.find_owner(owner)
        if found is None or found.deleted_at is not None:
            raise UnknownOwnerError(f"There is no owner '{owner[:96]}'.", owner=owner[:96])
        if not sees_drafts(account(request), found):
            raise NotAllowedError(f"What {found.name} has is its members' business.", owner=owner)
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
