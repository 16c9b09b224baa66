"""`/settings/account/`: close the account for ever."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from registry.errors import RegistryError
from registry.forms_people import NameAgainForm, refuse
from registry.services import owners
from registry.views.visitor import signed_in


@login_required
@require_http_methods(["GET", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """Say what closing means, and do it."""
    user = signed_in(request)
    form = NameAgainForm(request.POST or None, wanted=user.get_username())
    if form.is_valid():
        try:
            owners.close(user)
        except RegistryError as error:
            refuse(form, error, "name")
        else:
            logout(request)
            messages.success(request, "The account is closed.")
            return redirect("/")
    status = 400 if form.errors else 200
    return render(request, "settings/account.html", {"form": form}, status=status)
