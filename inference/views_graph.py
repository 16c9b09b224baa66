"""The skeleton of a model's graph, for the drawing on its Graph tab."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified, JsonResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.views.decorators.http import require_safe

from inference.errors import InferenceError
from inference.services.sketches import skeleton
from registry import selectors
from registry.errors import NoGraphError
from registry.rights import need_files
from registry.views.shown import shown

_OWN = "private, no-cache"  # what may be seen today may be hidden tomorrow
_VERSION = "1"  # of what a skeleton holds: a change of it is another ETag


@require_safe
def graph_skeleton(request: HttpRequest, owner: str, name: str) -> HttpResponseBase:
    """Return the skeleton as JSON; `?revision=` as on the page.

    It tells what the graph's file does, so it is for who may have the files.
    """
    found = shown(request, owner, name, request.GET.get("revision", ""))
    need_files(request.user, found.model)
    if found.revision is None or not found.revision.graph_path:
        raise NoGraphError("There is no graph.")
    revision = found.revision
    file = selectors.file_of(revision, revision.graph_path)
    headers = {"ETag": f'"{file.blob_id}-{_VERSION}"', "Cache-Control": _OWN}
    known = get_conditional_response(request, etag=headers["ETag"])
    response: HttpResponse
    if known is not None and known.status_code == 304:
        response = HttpResponseNotModified(headers=headers)
    else:
        try:
            body = skeleton(file.blob_id, file.blob.size)
        except InferenceError as error:
            return _problem(error)
        response = HttpResponse(body, content_type="application/json", headers=headers)
    patch_vary_headers(response, ("Cookie", "Authorization"))
    return response


def _problem(error: InferenceError) -> JsonResponse:
    body = {"error": {"code": error.code, "message": error.message, "detail": error.detail}}
    headers = {"Cache-Control": "no-store"}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    return JsonResponse(body, status=error.status, headers=headers)
