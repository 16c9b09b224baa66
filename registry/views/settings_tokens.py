"""`/settings/tokens/`: the reader's tokens; a new one is shown once."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from registry.errors import RegistryError
from registry.forms_people import TokenForm, refuse
from registry.models import ApiToken
from registry.services import tokens as token_services
from registry.views.visitor import said_again, signed_in


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
@said_again  # a token outlives the session that made it
def tokens(request: HttpRequest) -> HttpResponse:
    """List the tokens; the text of a new one is in the answer to the form that made it."""
    user = signed_in(request)
    form, made = TokenForm(request.POST or None, user=user), ""
    if form.is_valid():
        try:
            _, made = token_services.create(user, **form.wishes())
        except RegistryError as error:
            refuse(form, error, "models" if error.status == 404 else "name")
    rows = ApiToken.objects.filter(user_id=user.pk).order_by("-created")
    context = {
        "form": TokenForm(user=user) if made else form,
        "made": made,
        "made_name": form.cleaned_data["name"] if made else "",
        "tokens": rows.prefetch_related("limits__owner", "limits__model__owner"),
    }
    status = 400 if form.errors else 200
    return render(request, "settings/tokens.html", context, status=status)


@login_required
@require_POST
def delete_token(request: HttpRequest, digest: str) -> HttpResponse:
    """Delete one of the reader's tokens."""
    if token_services.revoke(signed_in(request), digest):
        messages.success(request, "The token is deleted. Programs that used it are out.")
    return redirect("/settings/tokens/")
