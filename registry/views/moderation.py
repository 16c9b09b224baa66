"""The public log of moderation, one action with its evidence, appeals, and reports by readers."""

from __future__ import annotations

from json import JSONEncoder
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from assay.bundle import MEDIA_TYPE
from assay.canonical import parse_json
from ledger import services as ledger
from registry import moderated
from registry.choices import Target
from registry.errors import RegistryError
from registry.forms_moderation import AppealForm, ReportForm
from registry.hf.calls import address
from registry.models import ModerationAction
from registry.services import flags, objections
from registry.views.lines import moderation_lines
from registry.views.visitor import signed_in

PAGE = 30
_PRETTY = JSONEncoder(indent=2, ensure_ascii=False)


@require_safe
def log(request: HttpRequest) -> HttpResponse:
    """List what moderators did, newest first; `?before=<number>` is the keyset."""
    rows = moderated.actions()
    before = request.GET.get("before", "")
    if before.isdecimal() and len(before) < 10:
        rows = rows.filter(number__lt=int(before))
    page = list(rows.defer("entry__payload__payload")[: PAGE + 1])
    context = {
        "actions": page[:PAGE],
        "first_url": "?" if before else "",
        "next_url": f"?before={page[PAGE - 1].number}" if len(page) > PAGE else "",
    }
    return render(request, "moderation/log.html", context)


@require_safe
def action(request: HttpRequest, number: int) -> HttpResponse:
    """Show one action: what, why, the signed statement, its place in the ledger, the appeal."""
    found = moderated.find_action(number)
    return render(request, "moderation/action.html", _context(request, found))


def _context(request: HttpRequest, found: ModerationAction) -> dict[str, Any]:
    newest = moderated.newest(Target(found.kind), found.target)
    return {
        "action": found,
        "objection": moderated.objection_of(found),
        "outcome": ModerationAction.objects.filter(granted__action=found).first(),
        "answers": ModerationAction.objects.filter(objection__outcome=found).first(),
        "newest": newest,
        "stands": newest is not None and newest.pk == found.pk and found.act in moderated.UNDONE_BY,
        "entry_status": ledger.entry_status(found.entry_id),
        "statement": _PRETTY.encode(parse_json(bytes(found.entry.payload.payload))),
        "may_appeal": objections.may_ask(request.user, found),
        "appeal_form": AppealForm(),
        "lines": moderation_lines(settings.SITE_URL, found.number),
    }


@require_safe
def bundle(request: HttpRequest, number: int) -> HttpResponse:
    """Answer the statement as a Sigstore bundle with its proof of inclusion."""
    found = moderated.find_action(number)
    response = HttpResponse(ledger.receipt(found.entry_id), content_type=MEDIA_TYPE)
    response["Content-Disposition"] = 'attachment; filename="moderation.sigstore.json"'
    return response


@login_required
@require_POST
def appeal(request: HttpRequest, number: int) -> HttpResponse:
    """Appeal against an action about what is one's own, once."""
    found = moderated.find_action(number)
    form = AppealForm(request.POST)
    try:
        objections.ask(signed_in(request), found, request.POST.get("text", ""))
    except RegistryError as error:
        if error.status == 404:
            raise
        context = {**_context(request, found), "appeal_form": form, "problem": error}
        return render(request, "moderation/action.html", context, status=error.status)
    messages.success(request, "Another moderator will look at it. The answer will stand here.")
    return redirect("moderation-action", number)


@never_cache
@require_http_methods(["GET", "POST"])
def report(request: HttpRequest) -> HttpResponse:
    """Report something: `?kind=` and `?name=` say what. No account is needed."""
    given = request.POST if request.method == "POST" else request.GET
    kind, name = given.get("kind", Target.MODEL.value), given.get("name", "")[:300]
    if kind not in Target.values:
        kind = Target.MODEL.value
    form = ReportForm(request.POST or None, initial={"kind": kind, "name": name})
    stamp = request.POST.get("stamp", "")
    problem: RegistryError | None = None
    if form.is_valid():
        try:
            flags.report(request.user, form.given(stamp), address=address(request))
            return render(request, "moderation/reported.html", {"name": name})
        except RegistryError as error:
            problem = error
    status = problem.status if problem else 400 if form.errors else 200
    context = {"form": form, "problem": problem, "name": name}
    context["stamp"] = stamp if flags.is_fresh(stamp) else flags.stamp()
    return render(request, "moderation/report.html", context, status=status)
