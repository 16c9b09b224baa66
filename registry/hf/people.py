"""People, organisations and what they have, as hub clients ask for them."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet, Sum
from django.http import HttpRequest, HttpResponse

from assay.statements import timestamp
from registry.choices import MemberState, OwnerKind, Visibility
from registry.errors import NotAllowedError, UnknownOwnerError
from registry.hf.answers import endpoint
from registry.hf.calls import next_link, read_call, read_cursor, write_cursor
from registry.hf.repos import answer
from registry.models import Membership, Model, Owner, RevisionFile
from registry.rights import Caller, readable, role_in
from registry.selectors import find_owner

PAGE = 500


def _owner(name: str, kind: OwnerKind) -> Owner:
    found = find_owner(name)
    if found is None or found.kind != kind or found.deleted_at is not None:
        raise UnknownOwnerError(f"Here is no {kind.label} '{name[:96]}'.", owner=name[:96])
    return found


def _organisation_of(user: AbstractBaseUser, name: str) -> Owner:
    owner = _owner(name, OwnerKind.ORGANISATION)
    if role_in(user, owner) is None:
        raise NotAllowedError(f"Only members of {owner.name} may see this.", owner=owner.name)
    return owner


def _models_of(owner: Owner, user: Caller) -> QuerySet[Model]:
    return Model.objects.filter(readable(user), owner=owner)


# ------------------------------------------------------------------ overviews


@endpoint("GET")
def user_overview(request: HttpRequest, name: str) -> HttpResponse:
    """Tell about a person: the name, and how many models of theirs the caller may know of."""
    call = read_call(request)
    owner = _owner(name, OwnerKind.USER)
    orgs = Owner.objects.filter(
        deleted_at=None,
        memberships__user=owner.user,
        memberships__state=MemberState.MEMBER,
    )
    return answer(
        {
            **_person(owner),
            "numModels": _models_of(owner, call.user).count(),
            "createdAt": timestamp(owner.created_at),
            "orgs": [_short(one) for one in orgs.order_by("name")],
        }
    )


@endpoint("GET")
def organisation_overview(request: HttpRequest, name: str) -> HttpResponse:
    """Tell about an organisation."""
    call = read_call(request)
    owner = _owner(name, OwnerKind.ORGANISATION)
    members = Membership.objects.filter(owner=owner, state=MemberState.MEMBER).count()
    models = _models_of(owner, call.user).count()
    return answer({**_short(owner), "numUsers": members, "numModels": models})


@endpoint("GET")
def members(request: HttpRequest, name: str) -> HttpResponse:
    """List the members of an organisation to its members."""
    call = read_call(request)
    owner = _organisation_of(call.account(), name)
    rows = Owner.objects.filter(
        user__memberships__in=Membership.objects.filter(owner=owner, state=MemberState.MEMBER)
    ).order_by("name")
    cursor = request.GET.get("cursor", "")
    if cursor:
        rows = rows.filter(name__gt=read_cursor(cursor))
    found = list(rows[: PAGE + 1])
    more = len(found) > PAGE
    link = next_link(request, cursor=write_cursor(found[PAGE - 1].name)) if more else ""
    return answer([_person(one) for one in found[:PAGE]], link=link)


def _person(owner: Owner) -> dict[str, Any]:
    return {
        "user": owner.name,
        "fullname": owner.title or owner.name,
        "type": "user",
        "avatarUrl": "",
        "isPro": False,
    }


def _short(owner: Owner) -> dict[str, Any]:
    return {
        "type": "org",
        "name": owner.name,
        "fullname": owner.title or owner.name,
        "avatarUrl": "",
        "isEnterprise": False,
    }


# ------------------------------------------------------------------ what they store


@endpoint("GET")
def repositories(request: HttpRequest, name: str = "") -> HttpResponse:
    """List the models of the caller, or of an organisation, with the bytes that their heads name.

    A file that several models hold counts in each: so a number says what its model is made of.
    """
    call = read_call(request)
    user = call.account()
    owner = _organisation_of(user, name) if name else Owner.objects.get(user_id=user.pk)
    rows = _models_of(owner, user).order_by("name")
    cursor = request.GET.get("cursor", "")
    if cursor:
        rows = rows.filter(name__gt=read_cursor(cursor))
    found = list(rows[: PAGE + 1])
    more = len(found) > PAGE
    link = next_link(request, cursor=write_cursor(found[PAGE - 1].name)) if more else ""
    return answer(_stored(owner, found[:PAGE]), link=link)


def _stored(owner: Owner, models: list[Model]) -> list[dict[str, Any]]:
    heads = [model.head_id for model in models if model.head_id]
    sizes: dict[str | None, int] = dict(
        RevisionFile.objects.filter(revision_id__in=heads)
        .values("revision_id")
        .annotate(n=Sum("blob__size"))
        .values_list("revision_id", "n")
    )
    total = sum(sizes.values())
    return [
        {
            "id": f"{owner.name}/{model.name}",
            "type": "model",
            "updatedAt": timestamp(model.updated_at),
            "visibility": Visibility(model.visibility),
            "storage": sizes.get(model.head_id, 0),
            "storagePercent": round(100 * sizes.get(model.head_id, 0) / total, 2) if total else 0,
        }
        for model in models
    ]
