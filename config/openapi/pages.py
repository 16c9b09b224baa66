"""The document of the REST API, as JSON and YAML, and the page that shows it."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_GET
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer2
from rest_framework.renderers import BaseRenderer, JSONRenderer

from registry.api.rest import etag


@cache
def document() -> dict[str, Any]:
    """Return the document; it is made once, and the same for everybody."""
    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return made


@cache
def _rendered(renderer: type[BaseRenderer]) -> bytes:
    return bytes(renderer().render(document(), renderer_context={}))


def _answer(request: HttpRequest, renderer: type[BaseRenderer]) -> HttpResponseBase:
    content = _rendered(renderer)
    answer = HttpResponse(content, content_type=renderer.media_type)
    answer["ETag"] = etag(content)
    answer["Cache-Control"] = "no-cache"
    return get_conditional_response(request, answer["ETag"], None, answer) or answer


@require_GET
def as_json(request: HttpRequest) -> HttpResponseBase:
    """Answer with the document in JSON."""
    return _answer(request, JSONRenderer)


@require_GET
def as_yaml(request: HttpRequest) -> HttpResponseBase:
    """Answer with the document in YAML."""
    return _answer(request, OpenApiYamlRenderer2)


@require_GET
def browser(request: HttpRequest) -> HttpResponse:
    """Show the document in Swagger UI, from this site's own files."""
    return render(request, "openapi.html")
