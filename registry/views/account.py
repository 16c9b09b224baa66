"""Settings and what is mine: keys, uploads."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from registry import selectors
from registry.choices import Action, UploadState
from registry.errors import RegistryError
from registry.members import owners_for
from registry.models import Upload
from registry.services import uploads as upload_services
from registry.views.usage import usage_lines
from registry.views.visitor import own_owner, signed_in

MAX_UPLOADS = 100


@login_required
@require_safe
def keys(request: HttpRequest) -> HttpResponse:
    """Show the registered keys; those of this browser are its own to show."""
    owner = own_owner(request)
    owners = owners_for(signed_in(request), Action.KEYS)
    own = selectors.published_keys().filter(owner__in=owners)
    context = {
        "owner": owner,
        "keys": own.select_related("backup", "owner"),
        "houses": any(one.user_id is None for one in owners),
    }
    return render(request, "settings/keys.html", context)


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
@require_safe
def my_uploads(request: HttpRequest) -> HttpResponse:
    """List the uploads that are not stored, newest first."""
    rows = (
        Upload.objects.filter(user_id=signed_in(request).pk)
        .exclude(state=UploadState.STORED)
        .annotate(parts_here=Count("parts"))
        .order_by("-touched_at")
    )
    uploads = list(rows[:MAX_UPLOADS])
    context = {
        "uploads": [(upload, upload_services.part_count(upload)) for upload in uploads],
        "usage": usage_lines(signed_in(request)),
    }
    return render(request, "registry/my_uploads.html", context)
