"""Who is calling: API tokens with a scope, or the browser's session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone
from knox.auth import TokenAuthentication as KnoxTokenAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from registry.choices import TokenScope
from registry.models import ApiToken
from registry.moderated import need_active
from registry.rights import carry

if TYPE_CHECKING:
    # DRF's views import this module, by its name in the settings, while they are imported.
    from rest_framework.views import APIView


_OWN_TOKENS = "/api/v1/tokens/"
_REFUSED = "This token is unknown, expired or deleted: make another one under Settings, API tokens."


class TokenAuthentication(KnoxTokenAuthentication):
    """knox's check, and the time of the last use (to the minute, to spare writes).

    The account that it returns carries the token: `registry.rights` asks both.
    """

    def authenticate_credentials(self, token: bytes) -> tuple[Any, Any]:
        if not token.isascii():  # knox would fail on what is not UTF-8
            raise AuthenticationFailed(_REFUSED)
        try:
            user, row = super().authenticate_credentials(token)
        except AuthenticationFailed as error:
            raise AuthenticationFailed(_REFUSED) from error
        now = timezone.now()
        if row.last_used_at is None or (now - row.last_used_at).total_seconds() > 60:
            ApiToken.objects.filter(pk=row.pk).update(last_used_at=now)
        carry(user, row)
        return user, row


class ReadOrWriteScope(BasePermission):
    """A token of scope `read` changes nothing, not even what is no owner's or model's.

    Nor does an account that is suspended, but for deleting its tokens.

    What the greater scopes may is asked of `registry.rights`, by the services.
    """

    message = "This token may only read. Make one with the scope 'write'."

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.method in SAFE_METHODS:
            return True
        if not (request.method == "DELETE" and request.path.startswith(_OWN_TOKENS)):
            need_active(request.user)
        token = request.auth
        return not isinstance(token, ApiToken) or token.scope != TokenScope.READ
