"""`/settings/organisations/`: mine, a new one, what I am invited to, what I am offered."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from registry import members
from registry.errors import RegistryError
from registry.forms_people import OrganisationForm, refuse
from registry.services import organisations, transfers
from registry.views.visitor import signed_in

HERE = "/settings/organisations/"


@login_required
@require_http_methods(["GET", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    """List what the reader belongs to, and make an organisation."""
    user = signed_in(request)
    form = OrganisationForm(request.POST or None)
    if form.is_valid():
        try:
            owner = organisations.create(user, **form.cleaned_data)
        except RegistryError as error:
            refuse(form, error, "name")
        else:
            messages.success(request, f"{owner.name} is made, and you are its admin.")
            return redirect(f"/orgs/{owner.name}/")
    context = {
        "form": form,
        "memberships": members.organisations_of(user),
        "invitations": members.invitations_of(user),
        "offers": members.offers_to(user),
    }
    status = 400 if form.errors else 200
    return render(request, "organisations/mine.html", context, status=status)


@login_required
@require_POST
def invitation(request: HttpRequest, owner: str, answer: str) -> HttpResponse:
    """Accept or decline an invitation."""
    user, found = signed_in(request), members.existing_owner(owner)
    if answer == "accept":
        organisations.accept(user, found)
        messages.success(request, f"You are a member of {found.name}.")
        return redirect(f"/orgs/{found.name}/")
    if answer != "decline":
        raise Http404(answer)
    organisations.decline(user, found)
    messages.success(request, f"You declined the invitation of {found.name}.")
    return redirect(HERE)


@login_required
@require_POST
def transfer(request: HttpRequest, transfer_id: int, answer: str) -> HttpResponse:
    """Accept, decline or take back a transfer."""
    user = signed_in(request)
    if answer == "accept":
        row = transfers.accept(user, transfer_id)
        messages.success(request, f"The model is {row.model.full_name} now.")
        return redirect(f"/models/{row.model.full_name}/")
    if answer == "decline":
        row = transfers.decline(user, transfer_id)
        messages.success(request, f"You declined {row.model.full_name}.")
        return redirect(HERE)
    if answer != "cancel":
        raise Http404(answer)
    row = transfers.cancel(user, transfer_id)
    messages.success(request, "The offer is taken back.")
    return redirect(f"/models/{row.model.full_name}/settings/")
