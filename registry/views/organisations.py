"""`/orgs/<owner>/`: who belongs to an organisation, and who says so."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from registry import members
from registry.choices import Action, OwnerKind, Role
from registry.errors import RegistryError
from registry.forms_people import InviteForm, NameAgainForm, TitleForm, refuse
from registry.models import Owner
from registry.rights import can, need, role_in
from registry.services import organisations
from registry.views.visitor import signed_in


@require_safe
def show(request: HttpRequest, owner: str) -> HttpResponse:
    """List the members; an admin invites, changes and removes them here."""
    found = members.existing_owner(owner)
    if found.kind != OwnerKind.ORGANISATION:
        return redirect(f"/{found.name}/")
    return _page(request, found)


def _page(request: HttpRequest, owner: Owner, **forms: Any) -> HttpResponse:
    """Show the page; a form that was sent and refused stands in `forms`."""
    admin = can(request.user, Action.MEMBERS, owner)
    if forms:
        need(request.user, Action.MEMBERS, owner)
    given: dict[str, Any] = {}
    if admin:
        given = {
            "invite": InviteForm(),
            "title": TitleForm(initial={"title": owner.title}),
            "delete": NameAgainForm(wanted=owner.name, prefix="delete"),
            **forms,
        }
    context = {
        "owner": owner,
        "members": list(members.members_of(owner, invited=admin)),
        "role": role_in(request.user, owner),
        "roles": Role.choices,
        "admin": admin,
        "forms": given,
        "problem": forms.get("problem"),
    }
    failed = any(getattr(form, "errors", form) for form in forms.values())
    return render(request, "organisations/show.html", context, status=400 if failed else 200)


@login_required
@require_POST
def invite(request: HttpRequest, owner: str) -> HttpResponse:
    """Invite a person."""
    found = members.existing_owner(owner)
    form = InviteForm(request.POST)
    if form.is_valid():
        try:
            row = organisations.invite(signed_in(request), found, **form.cleaned_data)
        except RegistryError as error:
            refuse(form, error, "name")
        else:
            name = form.cleaned_data["name"]
            messages.success(request, f"{name} is invited as {row.role}, and has to accept.")
            return redirect(f"/orgs/{found.name}/")
    return _page(request, found, invite=form)


@login_required
@require_POST
def member(request: HttpRequest, owner: str, member: str) -> HttpResponse:
    """Change a member's role, or end the membership (`do=remove`)."""
    found, user = members.existing_owner(owner), signed_in(request)
    try:
        if request.POST.get("do") == "remove":
            organisations.remove(user, found, name=member)
            messages.success(request, f"{member} does not belong to {found.name} any more.")
        else:
            role = request.POST.get("role", "")
            organisations.set_role(user, found, name=member, role=role)
            messages.success(request, f"{member} is {role} now.")
    except RegistryError as error:
        messages.error(request, error.message)
    return redirect(f"/orgs/{found.name}/")


@login_required
@require_POST
def title(request: HttpRequest, owner: str) -> HttpResponse:
    """Change the name in full."""
    found = members.existing_owner(owner)
    form = TitleForm(request.POST)
    if form.is_valid():
        try:
            organisations.describe(signed_in(request), found, **form.cleaned_data)
        except RegistryError as error:
            refuse(form, error, "title")
        else:
            return redirect(f"/orgs/{found.name}/")
    return _page(request, found, title=form)


@login_required
@require_POST
def delete(request: HttpRequest, owner: str) -> HttpResponse:
    """Delete the organisation for ever."""
    found = members.existing_owner(owner)
    form = NameAgainForm(request.POST, wanted=found.name, prefix="delete")
    if form.is_valid():
        try:
            organisations.delete(signed_in(request), found)
        except RegistryError as error:
            refuse(form, error, "name")
        else:
            messages.success(request, f"{found.name} is deleted.")
            return redirect("/settings/organisations/")
    return _page(request, found, delete=form)
