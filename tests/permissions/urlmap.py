"""Every address of the site with the methods that it takes, read off Django's URL map itself.

What a view takes stands in its decorators (`require_POST` and its kin, the `endpoint` of `/hf` and
`/v2`), which keep it in their closures, or in the methods of its class.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from django.urls import Resolver404, URLPattern, URLResolver, get_resolver, resolve

URLCONFS = ("config.urls", "config.urls_plain")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ADMIN = "admin/"
# Views that say it nowhere: a plain function around a class, or one that takes everything.
PLAIN = {
    "ledger.views.write.envelopes": ("POST",),
    "inference.oip.views.unknown": METHODS,
    "allauth.account.views.email_verification_sent": ("GET",),
}

Route = tuple[str, str]  # the pattern as the URL map spells it, and a method


def routes() -> set[Route]:
    """Return every pattern with each of its methods; Django's own admin is not in it."""
    found = set()
    for urlconf in URLCONFS:
        for pattern, view in walk(get_resolver(urlconf)):
            if not pattern.startswith(ADMIN):
                found |= {(pattern, method) for method in methods_of(view)}
    return found


def route_of(path: str, urlconf: str) -> str:
    """Return the pattern that `path` leads to, `""` when it leads nowhere."""
    try:
        return resolve(path.partition("?")[0], urlconf=urlconf).route
    except Resolver404:
        return ""


def walk(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield every pattern below `resolver` with its view."""
    for item in resolver.url_patterns:
        own = str(item.pattern)
        route = prefix + (own.removeprefix("^") if prefix else own)  # as `resolve` spells it
        if isinstance(item, URLResolver):
            yield from walk(item, route)
        elif isinstance(item, URLPattern):
            yield route, item.callback


def methods_of(view: Callable[..., Any]) -> tuple[str, ...]:
    """Return the methods that `view` takes; HEAD goes with GET, OPTIONS changes nothing."""
    name = f"{view.__module__}.{getattr(view, '__name__', '')}"
    if name in PLAIN:
        return PLAIN[name]
    layer: Any = view
    while layer is not None:
        kind = getattr(layer, "cls", None) or getattr(layer, "view_class", None)
        if kind is not None:
            return tuple(method for method in METHODS if hasattr(kind, method.lower()))
        told = inspect.getclosurevars(layer).nonlocals
        allowed = told.get("request_method_list", told.get("allowed"))
        if allowed is not None:
            return tuple(method for method in METHODS if method in allowed)
        layer = getattr(layer, "__wrapped__", None)
    raise LookupError(f"{name} says nowhere which methods it takes")
