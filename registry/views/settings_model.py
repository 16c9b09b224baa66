"""A model's settings, and requests for the files of a gated one."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from registry import members, selectors
from registry.choices import AccessState, Action, TransferState, Visibility
from registry.errors import RegistryError
from registry.forms_people import (
    AccessForm,
    NameAgainForm,
    TransferForm,
    VisibilityForm,
    refuse,
    visibility_form,
)
from registry.rights import can, need
from registry.services import gates, repos, transfers
from registry.views.shown import Shown, shown
from registry.views.visitor import signed_in


@login_required
@require_safe
def settings(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Show who may know of the model, and the ways to give it away or end it."""
    found = shown(request, owner, name)
    need(request.user, Action.SETTINGS, found.model)
    return _page(request, found)


def _page(request: HttpRequest, found: Shown, **forms: Any) -> HttpResponse:
    """Show the page; a form that was sent and refused stands in `forms`."""
    model = found.model
    context = {
        **found.context(),
        "visibility": visibility_form(model),
        "transfer": TransferForm(prefix="transfer"),
        "delete": NameAgainForm(wanted=model.full_name, prefix="delete"),
        "offer": members.offer_of(model),
        **forms,
    }
    return render(request, "registry/settings.html", context, status=400 if forms else 200)


@login_required
@require_POST
def visibility(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Change who may know of the model."""
    found = shown(request, owner, name)
    form: VisibilityForm = visibility_form(found.model, request.POST)
    if form.is_valid():
        try:
            gates.set_visibility(signed_in(request), found.model, **form.cleaned_data)
        except RegistryError as error:
            refuse(form, error, "visibility")
        else:
            messages.success(request, "Saved.")
            return redirect(f"/models/{found.model.full_name}/settings/")
    need(request.user, Action.SETTINGS, found.model)
    return _page(request, found, visibility=form)


@login_required
@require_POST
def transfer(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Offer the model to another owner."""
    found = shown(request, owner, name)
    form = TransferForm(request.POST, prefix="transfer")
    if form.is_valid():
        try:
            row = transfers.offer(signed_in(request), found.model, **form.cleaned_data)
        except RegistryError as error:
            refuse(form, error, "to")
        else:
            if row.state == TransferState.ACCEPTED:
                messages.success(request, f"The model is {row.model.full_name} now.")
                return redirect(f"/models/{row.model.full_name}/")
            messages.success(request, f"{row.target.name} has to accept.")
            return redirect(f"/models/{found.model.full_name}/settings/")
    need(request.user, Action.TRANSFER, found.model)
    return _page(request, found, transfer=form)


@login_required
@require_POST
def delete(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Delete the model for ever."""
    found = shown(request, owner, name)
    form = NameAgainForm(request.POST, wanted=found.model.full_name, prefix="delete")
    if form.is_valid():
        try:
            repos.delete(signed_in(request), found.model)
        except RegistryError as error:
            refuse(form, error, "name")
        else:
            messages.success(request, f"{found.model.full_name} is deleted.")
            return redirect("/me/models/")
    need(request.user, Action.DELETE, found.model)
    return _page(request, found, delete=form)


# ------------------------------------------------------------------ requests


@login_required
@require_http_methods(["GET", "POST"])
def access(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Ask for the files of a gated model; whoever decides reads the requests here."""
    found = shown(request, owner, name)
    model, user = found.model, signed_in(request)
    if can(user, Action.SETTINGS, model):
        return _requests(request, found)
    form = AccessForm(request.POST or None)
    if form.is_valid():
        try:
            gates.ask(user, model, **form.cleaned_data)
        except RegistryError as error:
            refuse(form, error, "reason")
        else:
            return redirect(f"/models/{model.full_name}/access/")
    asked = members.request_of(model, user)
    context = {
        **found.context(),
        "form": form,
        "asked": asked,
        "asking": True,
        "gated": model.visibility == Visibility.GATED,
        "may_ask": asked is None or asked.state in (AccessState.WITHDRAWN, AccessState.WAITING),
    }
    status = 400 if form.errors else 200
    return render(request, "registry/access.html", context, status=status)


def _requests(request: HttpRequest, found: Shown) -> HttpResponse:
    state = request.GET.get("state", "")
    state = state if state in AccessState.values else ""
    cursor = request.GET.get("before", "")
    before = int(cursor) if cursor.isdecimal() and len(cursor) < 19 else None
    rows = members.requests_for(found.model, state, before)
    page = rows[: members.ACCESS_PAGE]
    more = len(rows) > len(page)
    context = {
        **found.context(),
        "requests": page,
        "state": state,
        "states": AccessState.choices,
        "first_url": f"?state={state}" if before else "",
        "next_url": f"?state={state}&before={page[-1].pk}" if more else "",
    }
    return render(request, "registry/requests.html", context)


@login_required
@require_POST
def withdraw(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Take one's own request back."""
    model = selectors.find_model(f"{owner}/{name}", request.user)
    gates.withdraw(signed_in(request), model)
    messages.success(request, "Your request is taken back.")
    return redirect(f"/models/{model.full_name}/")


@login_required
@require_POST
def decide(request: HttpRequest, owner: str, name: str, person: str) -> HttpResponse:
    """Approve or decline a request."""
    model = selectors.find_model(f"{owner}/{name}", request.user)
    answer = request.POST.get("do", "")
    if answer not in ("approve", "decline"):
        raise Http404(answer)
    act = gates.approve if answer == "approve" else gates.decline
    try:
        row = act(signed_in(request), model, name=person)
    except RegistryError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"The request of {person} is {row.state}.")
    return redirect(f"/models/{model.full_name}/access/")
