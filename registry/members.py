"""Reads about owners: members, organisations, invitations, offers, requests."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Q, QuerySet

from registry.choices import AccessState, Action, MemberState, Role, TransferState
from registry.errors import InvalidInputError, UnknownOwnerError
from registry.models import AccessRequest, Membership, Model, Owner, Transfer
from registry.rights import ROLES, Caller, can

ACCESS_PAGE = 50


def existing_owner(name: str) -> Owner:
    """Return the owner of that name, whom nobody has deleted; UnknownOwnerError when none is."""
    owner = Owner.objects.filter(name__iexact=name.replace("\0", ""), deleted_at=None).first()
    if owner is None:
        raise UnknownOwnerError(f"There is no owner '{name[:96]}'.", name=name[:96])
    return owner


def members_of(owner: Owner, *, invited: bool = False) -> QuerySet[Membership]:
    """Return the members of `owner`, oldest first; `invited`: and who has not answered."""
    rows = owner.memberships.filter(user__is_active=True).select_related("user__owner")
    if not invited:
        rows = rows.filter(state=MemberState.MEMBER)
    return rows.order_by("pk")


def organisations_of(user: AbstractBaseUser) -> QuerySet[Membership]:
    """Return the memberships of `user`, by the organisation's name."""
    rows = Membership.objects.filter(user_id=user.pk, state=MemberState.MEMBER)
    return rows.select_related("owner").order_by("owner__name")


def invitations_of(user: AbstractBaseUser) -> QuerySet[Membership]:
    """Return the invitations that `user` has not answered."""
    rows = Membership.objects.filter(user_id=user.pk, state=MemberState.INVITED)
    return rows.select_related("owner", "invited_by").order_by("pk")


def owners_for(user: AbstractBaseUser, action: Action) -> list[Owner]:
    """Return the owners to whom `user` may do `action`, their own name first."""
    roles = [role for role in Role if action in ROLES[role]]
    mine = Membership.objects.filter(
        user_id=user.pk, state=MemberState.MEMBER, role__in=roles
    ).values("owner_id")
    rows = Owner.objects.filter(Q(user_id=user.pk) | Q(pk__in=mine), deleted_at=None)
    return sorted(rows, key=lambda owner: (owner.user_id is None, owner.name.lower()))


def offers_to(user: AbstractBaseUser) -> list[Transfer]:
    """Return the waiting transfers that `user` may accept."""
    owners = [row for row in owners_for(user, Action.MEMBERS) if can(user, Action.MEMBERS, row)]
    rows = Transfer.objects.filter(state=TransferState.WAITING, target__in=owners)
    return list(rows.select_related("model__owner", "source", "target", "asked_by").order_by("pk"))


def offer_of(model: Model) -> Transfer | None:
    """Return the transfer of `model` that waits, if one does."""
    rows = Transfer.objects.filter(model=model, state=TransferState.WAITING)
    return rows.select_related("source", "target", "asked_by", "model__owner").first()


def request_of(model: Model, user: Caller) -> AccessRequest | None:
    """Return the request of `user` for the files of `model`, however it stands."""
    if not isinstance(user, AbstractBaseUser):
        return None
    return AccessRequest.objects.filter(model=model, user_id=user.pk).first()


def requests_for(model: Model, state: str = "", before: int | None = None) -> list[AccessRequest]:
    """Return one page of requests, newest first; one more than a page when there is another.

    Raises:
        InvalidInputError: no such state.
    """
    if state and state not in AccessState.values:
        raise InvalidInputError(
            f"A state is one of {', '.join(AccessState.values)}.", field="state"
        )
    rows = AccessRequest.objects.filter(model=model).select_related("user__owner", "decided_by")
    if state:
        rows = rows.filter(state=state)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return list(rows.order_by("-pk")[: ACCESS_PAGE + 1])
