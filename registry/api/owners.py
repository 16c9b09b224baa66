"""`/api/v1/owners`, `organisations`, `invitations`, `transfers`, `account`."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from registry import members
from registry.api import people
from registry.api.base import (
    AccountView,
    PublicView,
    account,
    caller,
    find_model,
    need_said_again,
    read,
)
from registry.api.paging import answer, page_of, page_rows
from registry.choices import Action, Role
from registry.errors import InvalidInputError
from registry.models import Model, Owner
from registry.rights import can, need, role_in
from registry.services import closing, organisations, owners, transfers


def check_name(request: Request, name: str) -> None:
    """Compare what the caller typed again with `name`: nothing that ends for ever is a slip.

    Raises:
        InvalidInputError: another name.
    """
    if read(people.ClosingIn, request)["name"] != name:
        raise InvalidInputError(f"Send the name '{name}' to say that you mean it.", field="name")


def _shown(request: Request, owner: Owner) -> Response:
    return Response(people.owner(owner, role_in(caller(request), owner)))


class Organisations(AccountView):
    """The caller's organisations, or a new one."""

    def get(self, request: Request) -> Response:
        rows = members.organisations_of(account(request))
        return page_of(
            request,
            list(rows),
            lambda row: row.owner.name,
            lambda row: people.owner(row.owner, Role(row.role)),
        )

    def post(self, request: Request) -> Response:
        given = read(people.OrganisationIn, request)
        owner = organisations.create(account(request), **given)
        return Response(people.owner(owner, Role.ADMIN), status=201)


class OwnerView(PublicView):
    """A person or an organisation."""

    def get(self, request: Request, owner: str) -> Response:
        return _shown(request, members.existing_owner(owner))

    def patch(self, request: Request, owner: str) -> Response:
        given = read(people.OwnerIn, request)
        found = members.existing_owner(owner)
        return _shown(request, organisations.describe(account(request), found, **given))

    def delete(self, request: Request, owner: str) -> Response:
        found = members.existing_owner(owner)
        check_name(request, found.name)
        organisations.delete(account(request), found)
        return Response(status=204)


class Members(PublicView):
    """Members; who is invited is shown to those who may invite."""

    def get(self, request: Request, owner: str) -> Response:
        found = members.existing_owner(owner)
        may = can(caller(request), Action.MEMBERS, found)
        rows = members.members_of(found, invited=may)
        return page_rows(request, rows, ("id",), people.member)

    def post(self, request: Request, owner: str) -> Response:
        given = read(people.MemberIn, request)
        found = members.existing_owner(owner)
        row = organisations.invite(account(request), found, **given)
        return Response(people.member(row), status=201)


class Member(AccountView):
    """Change a member's role, or end the membership."""

    def patch(self, request: Request, owner: str, member: str) -> Response:
        given = read(people.RoleIn, request)
        found = members.existing_owner(owner)
        row = organisations.set_role(account(request), found, name=member, **given)
        return Response(people.member(row))

    def delete(self, request: Request, owner: str, member: str) -> Response:
        organisations.remove(account(request), members.existing_owner(owner), name=member)
        return Response(status=204)


class Invitations(AccountView):
    """What the caller is invited to."""

    def get(self, request: Request) -> Response:
        rows = members.invitations_of(account(request))
        return page_rows(request, rows, ("id",), people.invitation)


class Invitation(AccountView):
    """Accept (POST) or decline (DELETE) an invitation."""

    def post(self, request: Request, owner: str) -> Response:
        row = organisations.accept(account(request), members.existing_owner(owner))
        return Response(people.member(row))

    def delete(self, request: Request, owner: str) -> Response:
        organisations.decline(account(request), members.existing_owner(owner))
        return Response(status=204)


# ------------------------------------------------------------------ transfers, the end


class Transfers(AccountView):
    """What the caller may accept."""

    def get(self, request: Request) -> Response:
        rows = members.offers_to(account(request))
        return page_of(request, rows, lambda row: str(row.pk), people.transfer)


class Offers(AccountView):
    """The offer of a model that waits, or a new one."""

    def get(self, request: Request, owner: str, name: str) -> Response:
        """List the one that waits, for who may change the model's settings."""
        model = find_model(request, owner, name)
        need(account(request), Action.SETTINGS, model)
        waiting = members.offer_of(model)
        return answer([people.transfer(waiting)] if waiting else [])

    def post(self, request: Request, owner: str, name: str) -> Response:
        model: Model = find_model(request, owner, name)
        row = transfers.offer(account(request), model, **read(people.TransferIn, request))
        return Response(people.transfer(row), status=201)


class Accept(AccountView):
    """Accept a transfer."""

    def post(self, request: Request, transfer_id: int) -> Response:
        return Response(people.transfer(transfers.accept(account(request), transfer_id)))


class Decline(AccountView):
    """Decline a transfer."""

    def post(self, request: Request, transfer_id: int) -> Response:
        return Response(people.transfer(transfers.decline(account(request), transfer_id)))


class Cancel(AccountView):
    """Take a transfer back."""

    def post(self, request: Request, transfer_id: int) -> Response:
        return Response(people.transfer(transfers.cancel(account(request), transfer_id)))


class Account(AccountView):
    """The caller's own account: let it be closed for ever."""

    def get(self, request: Request) -> Response:
        return _shown(request, owners.own_of(account(request)))

    def delete(self, request: Request) -> Response:
        need_said_again(request)
        user = account(request)
        check_name(request, user.get_username())
        given = read(people.AccountClosingIn, request)
        return Response(people.closing(closing.ask(user, to=given["to"])), status=202)
