"""The document of the REST API, as JSON and YAML, and the page that shows it."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer2
from rest_framework.renderers import JSONRenderer

from registry.api.rest import etag


@cache
def document() -> dict[str, Any]:
    """Return the document; it is made once, and the same for everybody."""
    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return made


@cache
def _in_json() -> bytes:
    return JSONRenderer().render(document())


@cache
def _in_yaml() -> bytes:
    made: bytes = OpenApiYamlRenderer2().render(document(), renderer_context={})
    return made


@require_safe
def as_json(request: HttpRequest) -> HttpResponseBase:
    """Answer with the document in JSON."""
    return _answer(request, _in_json(), JSONRenderer.media_type)


@require_safe
def as_yaml(request: HttpRequest) -> HttpResponseBase:
    """Answer with the document in YAML."""
    return _answer(request, _in_yaml(), OpenApiYamlRenderer2.media_type)


def _answer(request: HttpRequest, content: bytes, kind: str) -> HttpResponseBase:
    answer = HttpResponse(content, content_type=kind)
    answer["ETag"] = etag(content)
    answer["Cache-Control"] = "no-cache"
    return get_conditional_response(request, answer["ETag"], None, answer) or answer


@require_safe
def browser(request: HttpRequest) -> HttpResponse:
    """Show the document in Swagger UI, from this site's own files."""
    return render(request, "openapi.html")
