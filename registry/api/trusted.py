"""`/api/v1/models/…/trusted`: which builds may publish; `/api/v1/trusted/token`: a build asks."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from assay.statements import timestamp
from registry.api.base import AccountView, account, find_model, read
from registry.api.paging import page_rows
from registry.choices import Action
from registry.idtoken import MAX_TOKEN
from registry.models import TrustedPublisher
from registry.rights import need
from registry.services import trusted


class PublisherIn(serializers.Serializer[Any]):
    """`POST …/trusted`."""

    issuer = serializers.CharField(max_length=300, allow_blank=True, default="")
    repository = serializers.CharField(max_length=201)
    workflow = serializers.CharField(max_length=200)
    environment = serializers.CharField(max_length=255, allow_blank=True, default="")


class ExchangeIn(serializers.Serializer[Any]):
    """`POST trusted/token`."""

    model = serializers.CharField(max_length=200)
    token = serializers.CharField(max_length=MAX_TOKEN)


def publisher(row: TrustedPublisher) -> dict[str, Any]:
    """Return a trusted publisher."""
    return {
        "id": row.pk,
        "issuer": row.issuer,
        "repository": row.repository,
        "workflow": row.workflow,
        "environment": row.environment,
        "repository_id": row.repository_id or None,
        "repository_owner_id": row.repository_owner_id or None,
        "created_by": row.created_by.get_username(),
        "created_at": timestamp(row.created_at),
    }


class Publishers(AccountView):
    """Which workflows may publish a model; trust another one."""

    def get(self, request: Request, owner: str, name: str) -> Response:
        model = find_model(request, owner, name)
        need(account(request), Action.SETTINGS, model)
        return page_rows(request, trusted.publishers(model), ("created_at", "id"), publisher)

    def post(self, request: Request, owner: str, name: str) -> Response:
        model = find_model(request, owner, name)
        row = trusted.add(account(request), model, **read(PublisherIn, request))
        return Response(publisher(row), status=201)


class Publisher(AccountView):
    """Trust a workflow no more."""

    def delete(self, request: Request, owner: str, name: str, publisher_id: int) -> Response:
        model = find_model(request, owner, name)
        trusted.remove(account(request), model, publisher_id)
        return Response(status=204)


class Exchange(APIView):
    """Exchange the ID token of a run for an API token; the ID token is who calls."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def post(self, request: Request) -> Response:
        given = read(ExchangeIn, request)
        granted = trusted.exchange(given["model"], given["token"])
        body = {
            "token": granted.token,
            "model": granted.model.full_name,
            "scope": "publish",
            "expires_at": timestamp(granted.expires_at),
        }
        return Response(body, status=201, headers={"Cache-Control": "no-store"})
