"""The pages of aliases: what each means, its history, and where its publisher signs a move."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from assay.bundle import MEDIA_TYPE
from ledger import services as ledger
from registry import moves, selectors
from registry.choices import Action
from registry.errors import RegistryError, UnknownRevisionError
from registry.instants import read_instant
from registry.models import Alias, Model
from registry.rights import can, need
from registry.services import aliases
from registry.views import lines
from registry.views.shown import alias_evidence, shown
from registry.views.visitor import signed_in

MAX_CHOICES = 200


@require_safe
def alias(request: HttpRequest, owner: str, name: str, alias: str) -> HttpResponse:
    """Show what an alias means and every move; `?at=` asks what it meant, `?before=` pages."""
    found = shown(request, owner, name)
    context: dict[str, Any] = {**found.context(), "at": request.GET.get("at", "")}
    if alias.lower() == selectors.LATEST:
        context |= {"alias_name": selectors.LATEST, "implied": True, "target": found.release}
    else:
        context |= _moved(request, found.model, alias)
    if context["at"]:
        context |= _meant(found.model, context["alias_name"], context["at"])
    return render(request, "registry/alias.html", context)


def _moved(request: HttpRequest, model: Model, name: str) -> dict[str, Any]:
    row = moves.find_alias(model, name)
    before = request.GET.get("before", "")
    number = int(before) if before.isdecimal() and len(before) < 10 else None
    page = list(moves.moves_of(row, number)[: moves.PAGE + 1])
    more = len(page) > moves.PAGE
    page = page[: moves.PAGE]
    newest = moves.moves_of(row)[0] if number is not None else page[0]
    return {
        "alias_name": row.name,
        "alias": row,
        "target": newest.release,
        "newest_move": newest,
        "moves": page,
        "first_url": "?" if number is not None else "",
        "next_url": f"?before={page[-1].number}" if more else "",
        "may_move": can(request.user, aliases.to_move(row), model),
        "may_protect": can(request.user, Action.SETTINGS, model),
        "cli": lines.alias_lines(settings.SITE_URL, newest),
        **alias_evidence(newest),
    }


def _meant(model: Model, name: str, at: str) -> dict[str, Any]:
    shown_at = ""  # the field takes one spelling of a time, and nothing else
    try:
        instant = read_instant(at, "at", in_utc=True)
        shown_at = instant.strftime("%Y-%m-%dT%H:%M:%S")
        return {"meaning": moves.meaning(model, name, instant), "at": shown_at}
    except RegistryError as error:
        return {"at_problem": error, "at": shown_at}


@require_safe
def bundle(request: HttpRequest, owner: str, name: str, alias: str, number: int) -> HttpResponse:
    """Answer a move as a Sigstore bundle with its proof of inclusion."""
    model = selectors.find_model(f"{owner}/{name}", request.user)
    move = moves.find_move(moves.find_alias(model, alias), number)
    response = HttpResponse(ledger.receipt(move.entry_id), content_type=MEDIA_TYPE)
    response["Content-Disposition"] = 'attachment; filename="alias.sigstore.json"'
    return response


@login_required
@require_POST
def protect(request: HttpRequest, owner: str, name: str, alias: str) -> HttpResponse:
    """Let only those who may change the settings move the alias, or let go of that."""
    model = selectors.find_model(f"{owner}/{name}", request.user)
    wanted = request.POST.get("protected") == "1"
    row = aliases.protect(signed_in(request), model, alias, protected=wanted)
    word = "is protected now" if row.protected else "is no longer protected"
    messages.success(request, f"{row.name} {word}.")
    return redirect("alias", model.owner.name, model.name, row.name)


@login_required
@never_cache
@require_safe
def sign(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Move an alias, or make one: choose, read the statement, sign it in the browser.

    `?alias=` and `?version=` fill the form in.
    """
    model = selectors.find_model(f"{owner}/{name}", request.user)
    wanted = request.GET.get("alias", "")[:96]
    present = _present(model, wanted)
    need(request.user, aliases.to_move(present), model)
    standing = selectors.releases(model).prefetch_related(None).filter(selectors.STANDS)
    context = {
        "model": model,
        "alias_name": wanted,
        "present": present.release if present else None,
        "version": request.GET.get("version", ""),
        "versions": list(standing[:MAX_CHOICES]),
        "known": [row.alias.name for row in moves.newest_moves(model)],
    }
    return render(request, "publish/alias.html", context)


def _present(model: Model, name: str) -> Alias | None:
    try:
        return moves.find_alias(model, name)
    except UnknownRevisionError:
        return None
