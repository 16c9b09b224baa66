"""`/api/v1/models/{owner}/{name}/visibility` and `…/access`."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from registry import members
from registry.api import people, shapes
from registry.api.base import AccountView, account, find_model, read
from registry.choices import AccessState, Action
from registry.errors import InvalidInputError, UnknownRequestError
from registry.models import Model
from registry.rights import need
from registry.services import gates


class VisibilityView(AccountView):
    """Who may know of a model, and how requests for a gated one are answered."""

    def get(self, request: Request, owner: str, name: str) -> Response:
        """Show it to those who may change it."""
        model = find_model(request, owner, name)
        need(account(request), Action.SETTINGS, model)
        return Response(_visibility(model))

    def put(self, request: Request, owner: str, name: str) -> Response:
        model = find_model(request, owner, name)
        row = gates.set_visibility(account(request), model, **read(people.VisibilityIn, request))
        return Response(_visibility(row))


def _visibility(row: Model) -> dict[str, Any]:
    return {**shapes.model(row), "gate": row.gate, "terms": row.gate_terms}


class Requests(AccountView):
    """The requests for a model, for those who decide; `?state=`, `?cursor=`."""

    def get(self, request: Request, owner: str, name: str) -> Response:
        model = find_model(request, owner, name)
        need(account(request), Action.SETTINGS, model)
        cursor = request.query_params.get("cursor", "")
        if cursor and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
            raise InvalidInputError("This cursor was not made here.", field="cursor")
        state = request.query_params.get("state", "")
        rows = members.requests_for(model, state, int(cursor) if cursor else None)
        page = rows[: members.ACCESS_PAGE]
        more = len(rows) > len(page)
        return Response(
            {
                "items": [people.access(row) for row in page],
                "next": str(page[-1].pk) if more else "",
            }
        )


class Mine(AccountView):
    """The caller's own request: look, ask, take back."""

    def get(self, request: Request, owner: str, name: str) -> Response:
        model = find_model(request, owner, name)
        row = members.request_of(model, account(request))
        if row is None:
            raise UnknownRequestError(f"You have not asked for {model.full_name}.")
        return Response(people.access(row))

    def put(self, request: Request, owner: str, name: str) -> Response:
        model = find_model(request, owner, name)
        row = gates.ask(account(request), model, **read(people.AccessIn, request))
        return Response(people.access(row))

    def delete(self, request: Request, owner: str, name: str) -> Response:
        model = find_model(request, owner, name)
        return Response(people.access(gates.withdraw(account(request), model)))


class Decision(AccountView):
    """Approve or decline the request of a person."""

    def put(self, request: Request, owner: str, name: str, person: str) -> Response:
        model = find_model(request, owner, name)
        approved = read(people.DecisionIn, request)["state"] == AccessState.APPROVED
        decide = gates.approve if approved else gates.decline
        return Response(people.access(decide(account(request), model, name=person)))
