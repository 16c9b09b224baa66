"""A release's exports, under the release's address."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from registry import selectors
from registry.services import exports


@require_safe
def export(
    request: HttpRequest, owner: str, name: str, version: str, export: str
) -> HttpResponseBase:
    """Answer an export: the same bytes for ever, as an attachment, by its digest as ETag.

    A cache has to ask each time: a model may become private, moderators may stop it or its card.
    """
    model = selectors.find_model(f"{owner}/{name}", request.user)
    release = selectors.find_version(model, version, user=request.user)
    found = exports.export(release, export, request.GET.get("spec", ""))
    response = HttpResponse(found.data, content_type=found.content_type)
    response["ETag"] = f'"{found.etag}"'
    response["Cache-Control"] = "private, no-cache"
    response["Content-Disposition"] = f'attachment; filename="{found.name}"'
    return get_conditional_response(request, response["ETag"], None, response) or response
