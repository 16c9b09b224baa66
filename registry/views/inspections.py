"""The rules of the inspection, and a publisher's appeal against what it said."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from registry import selectors
from registry.errors import RegistryError
from registry.inspection_rules import LIMITS, RULES
from registry.services import appeals
from registry.views.visitor import signed_in

_STAGES = (
    ("upload", "When files are committed"),
    ("file", "The bytes of a graph"),
    ("graph", "What a graph says"),
    ("run", "Loading and a trial run"),
)


@require_safe
def rules(request: HttpRequest) -> HttpResponse:
    """Show every rule with its code, and the limits."""
    stages = [
        (title, [rule for rule in RULES.values() if rule.stage == stage])
        for stage, title in _STAGES
    ]
    return render(request, "registry/inspection_rules.html", {"stages": stages, "limits": LIMITS})


@login_required
@require_POST
def appeal(request: HttpRequest, owner: str, name: str, revision: str) -> HttpResponse:
    """Ask a moderator to look at a failed inspection."""
    model = selectors.find_model(f"{owner}/{name}", request.user)
    found = selectors.find_revision(model, revision, request.user)
    try:
        appeals.ask(signed_in(request), found, request.POST.get("text", ""))
    except RegistryError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, "A moderator will look at it. The answer will stand here.")
    return redirect(f"/publish/{model.full_name}/{found.pk}/")
