"""Is the process alive, and can it do its work?"""

from __future__ import annotations

from django.db import Error, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

_NOW = {"Cache-Control": "no-store"}


@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """Answer 200 while this process runs."""
    return JsonResponse({"live": True}, headers=_NOW)


@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Answer 200 when the database answers too, else 503."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return JsonResponse({"ready": False, "database": False}, status=503, headers=_NOW)
    return JsonResponse({"ready": True, "database": True}, headers=_NOW)
