"""Settings and what is mine: keys, tokens, uploads."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from registry import selectors
from registry.choices import UploadState
from registry.errors import RegistryError
from registry.forms import TokenForm
from registry.models import ApiToken, Upload
from registry.services import tokens as token_services, uploads as upload_services
from registry.views.visitor import own_owner, signed_in

MAX_UPLOADS = 100


@login_required
@require_GET
def keys(request: HttpRequest) -> HttpResponse:
    """Show the registered keys; those of this browser are its own to show."""
    owner = own_owner(request)
    own = selectors.published_keys().filter(owner=owner).select_related("backup") if owner else []
    return render(request, "settings/keys.html", {"owner": owner, "keys": own})


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """List the tokens; a new one is shown once, in the answer to the form that made it."""
    form = TokenForm(request.POST or None)
    made, problem = "", None
    if form.is_valid():
        try:
            _, made = token_services.create(signed_in(request), **form.cleaned_data)
        except RegistryError as error:
            problem = error
    failed = problem is not None or bool(form.errors)
    context = {
        "form": TokenForm() if made else form,
        "made": made,
        "made_name": form.cleaned_data["name"] if made else "",
        "problem": problem,
        "tokens": ApiToken.objects.filter(user_id=signed_in(request).pk).order_by("-created"),
    }
    return render(request, "settings/tokens.html", context, status=400 if failed else 200)


@login_required
@require_POST
def delete_token(request: HttpRequest, digest: str) -> HttpResponse:
    """Delete one of the reader's tokens."""
    if token_services.revoke(signed_in(request), digest):
        messages.success(request, "The token is deleted. Programs that used it are out.")
    return redirect("/settings/tokens/")


@login_required
@require_POST
def discard_upload(request: HttpRequest, upload_id: UUID) -> HttpResponse:
    """Discard one of the reader's uploads."""
    try:
        upload_services.discard(signed_in(request), upload_id)
    except RegistryError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, "The upload is discarded.")
    return redirect("/me/uploads/")


@login_required
@require_GET
def my_uploads(request: HttpRequest) -> HttpResponse:
    """List the uploads that are not stored, newest first."""
    rows = (
        Upload.objects.filter(user_id=signed_in(request).pk)
        .exclude(state=UploadState.STORED)
        .annotate(parts_here=Count("parts"))
        .order_by("-touched_at")
    )
    uploads = list(rows[:MAX_UPLOADS])
    context = {"uploads": [(upload, upload_services.part_count(upload)) for upload in uploads]}
    return render(request, "registry/my_uploads.html", context)
