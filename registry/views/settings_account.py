"""`/settings/`: the reader's profile, their data to take away, and the end of the account."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from registry.errors import RegistryError
from registry.forms_account import ClosingForm
from registry.forms_people import TitleForm, refuse
from registry.services import closing, organisations
from registry.services.export import begin
from registry.services.owners import own_of
from registry.views.visitor import own_owner, said_again, signed_in

ACCOUNT = "/settings/account/"


@login_required
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Lead to the first tab."""
    return redirect("/settings/profile/")


@login_required
@require_http_methods(["GET", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    """Show who the reader is to others, and change the name in full."""
    owner = own_owner(request)
    form = TitleForm(request.POST or None, initial={"title": owner.title if owner else ""})
    if form.is_valid():
        try:
            own = own_of(signed_in(request))
            organisations.describe(signed_in(request), own, **form.cleaned_data)
        except RegistryError as error:
            refuse(form, error, "title")
        else:
            messages.success(request, "The profile is saved.")
            return redirect("/settings/profile/")
    context = {"form": form, "owner": owner}
    status = 400 if form.errors else 200
    return render(request, "settings/profile.html", context, status=status)


# ------------------------------------------------------------------ export


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
@said_again
def export(request: HttpRequest) -> HttpResponseBase:
    """Say what an export holds; send it to who has just said again who they are."""
    user = signed_in(request)
    if request.method == "GET":
        return render(request, "settings/export.html")
    try:
        pieces = begin(user)
    except RegistryError as error:
        messages.error(request, error.message)
        return redirect("/settings/export/")
    response = StreamingHttpResponse(pieces, content_type="application/zip")
    name = f"{user.get_username()}-export.zip"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


# ------------------------------------------------------------------ the end


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
@said_again
def account(request: HttpRequest) -> HttpResponse:
    """Say what closing means, and ask for it; or show the day on which it happens."""
    user = signed_in(request)
    wish = closing.wish_of(user)
    form = ClosingForm(request.POST or None, wanted=user.get_username(), heirs=closing.heirs(user))
    if form.is_valid():
        try:
            closing.ask(user, to=form.cleaned_data.get("to", ""))
        except RegistryError as error:
            refuse(form, error, "name")
        else:
            return redirect(ACCOUNT)
    context = {"form": form, "wish": wish, "days": closing.WAIT.days}
    status = 400 if form.errors else 200
    return render(request, "settings/account.html", context, status=status)


@login_required
@require_POST
def keep(request: HttpRequest) -> HttpResponse:
    """Take the wish back."""
    try:
        closing.cancel(signed_in(request))
    except RegistryError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, "The account stays.")
    return redirect(ACCOUNT)
