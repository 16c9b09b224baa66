"""Lists of models, owners' pages, keys' pages."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_GET

from assay.dsse import PublicKey
from registry import selectors
from registry.listing import SORTS, Wanted, listing, releases_of_key
from registry.rights import may_write
from registry.views.visitor import own_owner

MAX_SEARCH = 200


def _page(request: HttpRequest, wanted: Wanted, **kept: str) -> dict[str, Any]:
    """Return the models and the addresses of the pages before and after."""
    cursor = request.GET.get("cursor", "")
    found = listing(request.user, wanted, cursor)
    query = {name: value for name, value in kept.items() if value}
    return {
        "models": found.items,
        "first_url": f"?{urlencode(query)}" if cursor else "",
        "next_url": f"?{urlencode({**query, 'cursor': found.next})}" if found.next else "",
    }


@require_GET
def models(request: HttpRequest) -> HttpResponse:
    """List the released models that the reader may know of."""
    typed = request.GET.get("q", "").replace("\0", " ").strip()[:MAX_SEARCH]
    sort = request.GET.get("sort", "new")
    sort = sort if sort in dict(SORTS) else "new"
    context = _page(request, Wanted(search=typed, sort=sort), q=typed, sort=sort)
    return render(
        request, "registry/models.html", {**context, "q": typed, "sort": sort, "sorts": SORTS}
    )


@require_GET
def owner(request: HttpRequest, owner: str) -> HttpResponse:
    """Show an owner's models and keys; drafts to the owner only."""
    found = selectors.find_owner(owner)
    if found is None:
        raise Http404(owner)
    drafts = may_write(request.user, found)
    context = _page(request, Wanted(owner=found, drafts=drafts))
    keys = selectors.published_keys().filter(owner=found)
    return render(request, "registry/owner.html", {**context, "owner": found, "keys": keys})


@login_required
@require_GET
def my_models(request: HttpRequest) -> HttpResponse:
    """List the reader's own models, released or not."""
    found = own_owner(request)
    context = _page(request, Wanted(owner=found, drafts=True)) if found else {"models": []}
    return render(request, "registry/my_models.html", context)


@require_GET
def key(request: HttpRequest, fingerprint: str) -> HttpResponse:
    """Show a key, its state, and what it signed that the reader may know of."""
    found = selectors.find_key(fingerprint)
    releases = releases_of_key(found, request.user, selectors.PAGE)
    context = {
        "key": found,
        "releases": releases,
        "pem": PublicKey(spki=bytes(found.spki)).pem,
        "fingerprint_line": "openssl pkey -pubin -in key.pem -outform DER | sha256sum",
    }
    return render(request, "registry/key.html", context)
