"""Search, and the pages that only explain."""

from __future__ import annotations

import re
from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import urlencode
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from registry import selectors
from registry.errors import RegistryError
from registry.models import Key
from registry.views import lines, pasted

_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.IGNORECASE)
_INDEX = re.compile(r"#?([0-9]{1,15})")
_EXECUTION = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE
)


@csrf_exempt  # it changes nothing: a form of another site gets no more than a link there would
@require_http_methods(["GET", "POST"])
def search(request: HttpRequest) -> HttpResponse:
    """Recognise what was typed by its form, and go there. What is too long to type is posted."""
    if request.method == "POST":
        return pasted.answer(request, request.POST.get("q", ""))
    typed = request.GET.get("q", "").strip()
    if digest := _DIGEST.fullmatch(typed):
        found = digest[1].lower()
        if Key.objects.filter(pk=found).exists():
            return redirect(f"/keys/{found}/")
        return redirect(f"/ledger/search?{urlencode({'q': found})}")
    if index := _INDEX.fullmatch(typed):
        return redirect(f"/ledger/{int(index[1])}/")
    if _EXECUTION.fullmatch(typed):
        return redirect(f"/executions/{typed.lower()}/")
    if "/" in typed or "--" in typed:
        try:
            model = selectors.find_model(typed, request.user, follow=True)
        except RegistryError:
            pass
        else:
            return redirect(f"/models/{quote(model.full_name)}/")
    return redirect(f"/models/?{urlencode({'q': typed})}" if typed else "/models/")


@require_safe
def verify(request: HttpRequest) -> HttpResponse:
    """Explain what a receipt is and how to check one without this site."""
    return render(request, "verify.html", {"cli": lines.verify_lines(settings.SITE_URL)})


@require_safe
def evidence(request: HttpRequest) -> HttpResponse:
    """Say what each level of evidence shows, and what it does not."""
    return render(request, "evidence.html")


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """Explain the evidence and the main job in short."""
    return render(request, "docs.html")
