"""The form of a card: a field for each known key, and the Markdown.

It edits the file README.md: what is not changed stays byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from registry import selectors
from registry.errors import ConflictError, RegistryError
from registry.models import Revision
from registry.rights import need_write
from registry.services import card_edit, card_fields, cards
from registry.services.cards_checklist import checklist
from registry.views.visitor import signed_in


@require_http_methods(["GET", "POST"])
def metadata(request: HttpRequest, owner: str, name: str, revision: str) -> HttpResponse:
    """Show the form, or store what it says in a new revision.

    Who was signed out meanwhile gets the text back: a redirect would lose it.
    """
    if request.method == "POST" and not request.user.is_authenticated:
        typed = [request.POST.get("body", "")]
        context = {"typed": typed, "back": request.path_info}
        return render(request, "publish/signed_out.html", context, status=403)
    return _metadata(request, owner, name, revision)


@login_required
def _metadata(request: HttpRequest, owner: str, name: str, revision: str) -> HttpResponse:
    model = selectors.find_model(f"{owner}/{name}", request.user)
    need_write(request.user, model)
    found = selectors.find_revision(model, revision, request.user)
    if request.method != "POST":
        return _page(request, found)
    given = {key: request.POST[key] for key in card_fields.BY_KEY if key in request.POST}
    body = request.POST.get("body")
    try:
        saved = card_edit.save_fields(signed_in(request), found, given, body)
    except RegistryError as error:
        return _page(request, found, given=given, body=body, problem=error)
    if saved.pk == found.pk:
        messages.info(request, "Nothing was changed: this is the card that was stored before.")
    else:
        messages.success(request, "The card is saved, in a new revision.")
    return redirect(f"/publish/{model.full_name}/{saved.pk}/metadata/")


def _page(
    request: HttpRequest,
    revision: Revision,
    *,
    given: Mapping[str, str] | None = None,
    body: str | None = None,
    problem: RegistryError | None = None,
) -> HttpResponse:
    told = cards.validate(card_edit.read(revision).decode("utf-8", "replace"))
    typed = given or {}
    items = checklist(revision.card_metadata, revision.card_body)
    context: dict[str, Any] = {
        "model": revision.model,
        "revision": revision,
        "rows": [_row(field, revision.card_metadata, typed) for field in card_fields.FIELDS],
        "body": revision.card_body if body is None else body,
        "others": sorted(revision.card_metadata.keys() - card_fields.BY_KEY.keys()),
        "warnings": told.warnings,
        "checklist": items,
        "missing_count": sum(not item.done for item in items),
        "problem": problem,
        "newest": revision.model.head_id if isinstance(problem, ConflictError) else None,
    }
    status = 200 if problem is None else problem.status
    return render(request, "publish/metadata.html", context, status=status)


def _row(
    field: card_fields.Field, metadata: Mapping[str, Any], typed: Mapping[str, str]
) -> dict[str, Any]:
    shown = card_fields.shown(field, metadata)
    value = typed.get(field.key, shown or "")
    choices = list(field.choices)
    if choices and value and value not in choices:
        choices.append(value)
    return {"field": field, "value": value, "choices": choices, "fixed": shown is None}
