"""Who changed what: `/settings/activity/`, and the same of one model."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from registry import activity, members
from registry.choices import Action
from registry.forms_people import ActivityForm
from registry.services.owners import own_of
from registry.views.shown import shown
from registry.views.visitor import signed_in


def _wanted(request: HttpRequest) -> tuple[ActivityForm, activity.Filter]:
    form = ActivityForm(request.GET or None)
    if not form.is_valid():
        return form, activity.Filter()
    return form, activity.Filter(**form.cleaned_data)


def _context(request: HttpRequest, form: ActivityForm, page: activity.Page) -> dict[str, Any]:
    kept = {name: str(value) for name, value in request.GET.items() if value and name != "cursor"}
    cursor = request.GET.get("cursor", "")
    return {
        "form": form,
        "events": page.events,
        "filtered": bool(kept),
        "first_url": f"?{urlencode(kept)}" if cursor else "",
        "next_url": f"?{urlencode({**kept, 'cursor': page.next})}" if page.next else "",
    }


@login_required
@require_safe
def own(request: HttpRequest) -> HttpResponse:
    """Show what happened to the reader, or to an organisation of theirs (`?owner=`)."""
    user = signed_in(request)
    name = request.GET.get("owner", "")
    owner = members.existing_owner(name) if name else own_of(user)
    form, wanted = _wanted(request)
    page = activity.of_owner(user, owner, wanted, request.GET.get("cursor", ""))
    context = {
        **_context(request, form, page),
        "owner": owner,
        "owners": members.owners_for(user, Action.SETTINGS),
    }
    return render(request, "settings/activity.html", context)


@login_required
@require_safe
def of_model(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Show what happened to a model, to whoever may change its settings."""
    found = shown(request, owner, name)
    form, wanted = _wanted(request)
    cursor = request.GET.get("cursor", "")
    page = activity.of_model(signed_in(request), found.model, wanted, cursor)
    context = {**found.context(), **_context(request, form, page)}
    return render(request, "registry/activity.html", context)
