"""`/api/v1/tokens`: one's own tokens, and the end of a token that somebody found."""

from __future__ import annotations

from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry.api import people
from registry.api.base import AccountView, account, need_said_again, read
from registry.api.paging import page_rows
from registry.errors import UnknownTokenError
from registry.models import ApiToken
from registry.services import tokens


class Tokens(AccountView):
    """The caller's tokens, newest first; or a new one, whose text is in this answer only."""

    def get(self, request: Request) -> Response:
        rows = ApiToken.objects.filter(user_id=account(request).pk)
        found = rows.prefetch_related("limits__owner", "limits__model__owner")
        return page_rows(request, found, ("-created", "digest"), people.token)

    def post(self, request: Request) -> Response:
        need_said_again(request)
        row, text = tokens.create(account(request), **read(people.TokenIn, request))
        return Response({**people.token(row), "token": text}, status=201)


class Token(AccountView):
    """Delete a token of the caller."""

    def delete(self, request: Request, digest: str) -> Response:
        if not tokens.revoke(account(request), digest):
            raise UnknownTokenError("You have no such token.", token=digest[:128])
        return Response(status=204)


class Revocation(APIView):
    """End tokens that leaked: whoever holds the text may, and needs no account.

    The answer is the same whether they were tokens or not.
    """

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def post(self, request: Request) -> Response:
        tokens.leaked(read(people.LeakedIn, request)["tokens"])
        return Response(status=204)
