"""Lists of models, owners' pages, keys' pages."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from registry import finding, selectors
from registry.finding import Filters
from registry.listing import listing
from registry.rights import may_write
from registry.views.browsing import browsing


def _page(request: HttpRequest, wanted: Filters) -> dict[str, Any]:
    """Return the models, newest first, and the addresses of the pages before and after."""
    cursor = request.GET.get("cursor", "")
    found = listing(request.user, wanted, cursor=cursor)
    return {
        "models": found.items,
        "first_url": "?" if cursor else "",
        "next_url": f"?{urlencode({'cursor': found.next})}" if found.next else "",
    }


@require_safe
def models(request: HttpRequest) -> HttpResponse:
    """List the released models that the reader may know of, by words and filters."""
    wanted = finding.read_filters(request.GET, released=True)
    return render(request, "registry/models.html", browsing(request, wanted))


@require_safe
def owner(request: HttpRequest, owner: str) -> HttpResponse:
    """Show an owner's models and keys; drafts to the owner only."""
    found = selectors.find_owner(owner)
    if found is None:
        raise Http404(owner)
    drafts = may_write(request.user, found)
    context = _page(request, Filters(owner=found.name, released=not drafts))
    keys = selectors.published_keys().filter(owner=found)
    return render(request, "registry/owner.html", {**context, "owner": found, "keys": keys})


@login_required
@require_safe
def my_models(request: HttpRequest) -> HttpResponse:
    """List the reader's own models and those of their organisations, released or not."""
    return render(request, "registry/my_models.html", _page(request, Filters(mine=True)))
