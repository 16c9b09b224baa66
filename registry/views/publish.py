"""The publishing wizard: an address per step, each of which can be left and come back to."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from registry import members, selectors
from registry.choices import Action, RevisionState
from registry.errors import ConflictError, RegistryError
from registry.forms import CardForm, NewModelForm
from registry.models import Model, Revision
from registry.rights import need_write
from registry.services import card_edit, cards, models
from registry.services.cards_checklist import checklist
from registry.views.draft import TEMPLATE_KEYS, TEMPLATES, draft_card
from registry.views.shown import card_html, revision_context
from registry.views.visitor import own_owner, signed_in

STEPS = ("Name", "Files", "Inspection", "Card", "Sign")


def _own_model(request: HttpRequest, owner: str, name: str) -> Model:
    model = selectors.find_model(f"{owner}/{name}", request.user)
    need_write(request.user, model)
    return model


def _own_revision(request: HttpRequest, owner: str, name: str, revision: str) -> Revision:
    model = _own_model(request, owner, name)
    return selectors.find_revision(model, revision, request.user)


def _render(request: HttpRequest, template: str, status: int = 200, **context: Any) -> HttpResponse:
    return render(request, template, {"steps": STEPS, **context}, status=status)


@login_required
@require_http_methods(["GET", "POST"])
def start(request: HttpRequest) -> HttpResponse:
    """Make a model, or choose one of one's own."""
    owners = members.owners_for(signed_in(request), Action.WRITE)
    form = NewModelForm(request.POST or None, owners=[owner.name for owner in owners])
    if form.is_valid():
        try:
            model = models.create(
                signed_in(request),
                name=form.cleaned_data["name"],
                owner=form.cleaned_data.get("owner"),
                visibility=form.cleaned_data["visibility"],
            )
        except RegistryError as error:
            form.add_error("name", error.message)
        else:
            return redirect(f"/publish/{model.full_name}/")
    owner = own_owner(request)
    own = Model.objects.filter(owner__in=owners, deleted_at=None).select_related("owner")
    return _render(
        request,
        "publish/start.html",
        status=400 if form.errors else 200,
        form=form,
        owner=owner,
        models=own.order_by("-updated_at")[: selectors.PAGE],
    )


@login_required
@require_safe
def files(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Choose files; the browser hashes and sends them."""
    model = _own_model(request, owner, name)
    revision_url = f"/publish/{model.full_name}/{model.head_id}/" if model.head_id else ""
    return _render(request, "publish/files.html", model=model, revision_url=revision_url)


@login_required
@require_safe
def revision(request: HttpRequest, owner: str, name: str, revision: str) -> HttpResponse:
    """Show the inspection and the card of a revision."""
    return _revision_page(request, _own_revision(request, owner, name, revision))


def _revision_page(
    request: HttpRequest,
    found: Revision,
    *,
    typed: str | None = None,
    problem: RegistryError | None = None,
) -> HttpResponse:
    card = card_edit.read(found).decode("utf-8", "replace")
    template = request.GET.get("template", "")
    items = checklist(found.card_metadata, found.card_body)
    text = card or draft_card(found.model, selectors.facts(found), template)
    release = getattr(found, "release", None)
    inspected = found.state in selectors.INSPECTED
    return _render(
        request,
        "publish/revision.html",
        status=200 if problem is None else 400,
        model=found.model,
        revision=found,
        step=4 if inspected else 3,
        card=text if typed is None else typed,
        card_is_template=not card,
        templates=TEMPLATES,
        chosen=template if template in TEMPLATE_KEYS else TEMPLATE_KEYS[0],
        checklist=items,
        missing_count=sum(not item.done for item in items),
        problem=problem,
        newest=found.model.head_id if isinstance(problem, ConflictError) else None,
        warnings=_warnings(card),
        released=release,
        may_sign=bool(card) and inspected and release is None and problem is None,
        **revision_context(found),
    )


def _warnings(card: str) -> tuple[str, ...]:
    try:
        return cards.parse(card.encode()).warnings if card else ()
    except RegistryError:
        return ()


@login_required
@require_safe
def inspection(request: HttpRequest, owner: str, name: str, revision: str) -> HttpResponse:
    """Return the fragment about the inspection, which asks again while it is not done."""
    found = _own_revision(request, owner, name, revision)
    context = {"model": found.model, "revision": found, "fragment": True}
    response = render(request, "publish/inspection.html", {**context, **revision_context(found)})
    if found.state != RevisionState.PENDING:
        response["HX-Refresh"] = "true"  # the whole page has its next step now
    return response


@require_POST
def save_card(request: HttpRequest, owner: str, name: str, revision: str) -> HttpResponse:
    """Store the card as it was typed, in a new revision when it differs.

    Who was signed out meanwhile gets the text back: a redirect would lose it.
    """
    typed = request.POST.get("card", "")
    if not request.user.is_authenticated:
        context = {"typed": [typed], "back": request.path_info.removesuffix("card/")}
        return render(request, "publish/signed_out.html", context, status=403)
    found = _own_revision(request, owner, name, revision)
    form = CardForm(request.POST)
    if not form.is_valid():
        text = " ".join(str(error) for error in form.errors.get("card", []))
        return _revision_page(request, found, typed=typed, problem=RegistryError(text))
    try:
        saved = card_edit.save(signed_in(request), found, form.cleaned_data["card"])
    except RegistryError as error:
        return _revision_page(request, found, typed=typed, problem=error)
    if saved.pk == found.pk:
        messages.info(request, "Nothing was changed: this is the card that was stored before.")
    else:
        messages.success(request, "The card is saved, in a new revision.")
    return redirect(f"/publish/{saved.model.full_name}/{saved.pk}/")


@login_required
@require_POST
def preview(request: HttpRequest) -> HttpResponse:
    """Return the card as its page will show it, or why it cannot be saved."""
    text = request.POST.get("card", "").replace("\r\n", "\n")
    try:
        card = cards.parse(text.encode())
    except RegistryError as error:
        return render(request, "publish/preview.html", {"problem": error})
    context = {
        "card_html": card_html(card.body),
        "metadata": card.metadata,
        "warnings": card.warnings,
    }
    return render(request, "publish/preview.html", context)


@login_required
@require_safe
def sign(request: HttpRequest, owner: str, name: str, revision: str) -> HttpResponse:
    """Show the three statements; the browser signs them."""
    found = _own_revision(request, owner, name, revision)
    signable = found.state in selectors.INSPECTED and card_edit.read(found)
    if not signable or getattr(found, "release", None):
        return redirect(f"/publish/{found.model.full_name}/{found.pk}/")
    return _render(request, "publish/sign.html", model=found.model, revision=found)
