"""What a publisher does to a release that stands: withdraw it, for good."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from registry import selectors
from registry.errors import ConflictError, InvalidInputError
from registry.services import releases
from registry.views.visitor import signed_in


@login_required
@require_POST
def withdraw(request: HttpRequest, owner: str, name: str, version: str) -> HttpResponse:
    """Withdraw a release, with the reason that its page then gives."""
    model = selectors.find_model(f"{owner}/{name}", request.user)
    reason = request.POST.get("reason", "")
    try:
        release = releases.yank(signed_in(request), model, version, reason=reason)
    except (ConflictError, InvalidInputError) as error:
        messages.error(request, error.message)
        release = selectors.find_release(model, version)
    else:
        messages.success(request, f"{release.version} is withdrawn.")
    return redirect("model-release", model.owner.name, model.name, release.version)
