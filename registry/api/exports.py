"""`/api/v1/models/…/releases/{version}/exports`: bills of materials and citations."""

from __future__ import annotations

from urllib.parse import quote

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from rest_framework.request import Request
from rest_framework.response import Response

from registry import selectors
from registry.api.base import PublicView, caller, find_model
from registry.services import exports


class Exports(PublicView):
    """Which exports there are of a release."""

    def get(self, request: Request, owner: str, name: str, version: str) -> Response:
        model = find_model(request, owner, name)
        release = selectors.find_version(model, version, user=caller(request))
        base = (
            f"/api/v1/models/{model.full_name}/releases/{quote(release.version, safe='')}/exports"
        )
        return Response(
            {
                "items": [
                    {
                        "name": form.name,
                        "title": form.title,
                        "content_type": form.content_type,
                        "spec": [word for word in form.versions if word],
                        "url": f"{base}/{form.name}",
                    }
                    for form in exports.FORMATS
                ],
                "next": "",
            }
        )


class Export(PublicView):
    """One export; `?spec=` asks for a version of CycloneDX."""

    def get(
        self, request: Request, owner: str, name: str, version: str, export: str
    ) -> HttpResponseBase:
        model = find_model(request, owner, name)
        release = selectors.find_version(model, version, user=caller(request))
        found = exports.export(release, export, request.query_params.get("spec", ""))
        answer = HttpResponse(found.data, content_type=found.content_type)
        answer["ETag"] = f'"{found.etag}"'
        answer["Cache-Control"] = "private, no-cache"
        answer["Content-Disposition"] = f'attachment; filename="{found.name}"'
        return get_conditional_response(request, answer["ETag"], None, answer) or answer
