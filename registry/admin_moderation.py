"""Moderation in the stock admin: reports, actions, appeals. What is done is done by the services.

1. These pages are there for moderators alone: staff with `registry.moderate`.
2. Before they act, and before they decide, moderators prove again who they are; allauth keeps what
   was typed meanwhile.
3. An act takes two steps: the first shows the very text that everybody will read, the second does
   it. What is dangerous has the thing's name typed in the second.
4. Nothing is added, changed or deleted here by hand.
"""

from __future__ import annotations

from json import JSONEncoder
from typing import Any

from allauth.account.internal.flows.reauthentication import did_recently_reauthenticate
from allauth.core.exceptions import ReauthenticationRequired
from django.contrib import admin, messages
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.db.models import Count, IntegerField, Model as Row, OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from ledger.errors import LedgerError
from registry import moderated
from registry.choices import Act, ObjectionState, ReportState, Target
from registry.errors import RegistryError
from registry.forms_moderation import ActForm, DecisionForm
from registry.models import ModerationAction, Objection, Report
from registry.services import flags, moderation, moderation_targets as targets, objections

_PRETTY = JSONEncoder(indent=2, ensure_ascii=False)
REFUSALS = (RegistryError, LedgerError)


def moderator(request: HttpRequest) -> AbstractBaseUser:
    """Return the moderator who asks; PermissionDenied for anybody else."""
    if not moderation.is_moderator(request.user) or not isinstance(request.user, AbstractBaseUser):
        raise PermissionDenied
    return request.user


def sure_moderator(request: HttpRequest) -> AbstractBaseUser:
    """Return the moderator who asks and has just proved who they are.

    Raises:
        PermissionDenied: no moderator.
        ReauthenticationRequired: allauth asks for it, and comes back with what was sent.
    """
    user = moderator(request)
    if not did_recently_reauthenticate(request):
        raise ReauthenticationRequired
    return user


def _number(object_id: str) -> int:
    """Return the primary key in an address; Http404 for what is none."""
    if not (object_id.isascii() and object_id.isdecimal() and len(object_id) < 19):
        raise Http404
    return int(object_id)


def _seen(request: HttpRequest) -> int:
    """Return the number of the newest action that the moderator saw; -1 for what is none."""
    sent = request.POST.get("seen", "")
    return int(sent) if sent.isdecimal() and len(sent) < 10 else -1


class ForModerators(admin.ModelAdmin[Any]):
    """Rows that moderators see and nobody writes by hand."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return moderation.is_moderator(request.user)

    def has_view_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        return moderation.is_moderator(request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        return False

    def page(
        self, request: HttpRequest, template: str, context: dict[str, Any], status: int = 200
    ) -> HttpResponse:
        """Return a page of ours in the admin's frame."""
        whole = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        return TemplateResponse(request, f"admin/moderation/{template}.html", whole, status=status)


@admin.register(ModerationAction)
class ActionAdmin(ForModerators):
    """What was done, and the way to do something."""

    list_display = ("number", "act", "kind", "name", "category", "moderator", "created_at")
    list_select_related = ("moderator",)
    list_filter = ("act", "kind", "category")
    search_fields = ("name", "reason")
    show_full_result_count = False
    change_list_template = "admin/moderation/actions.html"

    def get_urls(self) -> list[URLPattern]:
        act = self.admin_site.admin_view(self.act_view)
        return [path("act/", act, name="moderation-act"), *super().get_urls()]

    def act_view(self, request: HttpRequest) -> HttpResponse:
        """Ask what shall be done (GET), show what would be signed (POST), do it (POST `do`)."""
        user = sure_moderator(request)
        if request.method != "POST":
            asked = {name: request.GET.get(name, "") for name in ("kind", "name", "act")}
            return self.page(request, "act", {"title": "Act", **_about(ActForm(initial=asked))})
        form = ActForm(request.POST)
        if not form.is_valid():
            return self.page(request, "act", {"title": "Act", **_about(form)}, 400)
        try:
            if "do" in request.POST:
                wanted = form.wanted(typed=request.POST.get("typed", ""), seen=_seen(request))
                done = moderation.act(user, wanted)
                messages.success(request, f"{done.name} was {moderated.PAST[Act(done.act)]}.")
                return redirect(moderated.action_url(done))
            shown = moderation.preview(user, form.wanted())
        except REFUSALS as error:
            form.add_error(None, str(error))
            return self.page(request, "act", {"title": "Act", **_about(form)}, error.status)
        return self.page(request, "preview", _preview(form, shown))


def _about(form: ActForm) -> dict[str, Any]:
    """Return the form, and what is known of the thing that it names."""
    kind, name = form["kind"].value(), form["name"].value()
    context: dict[str, Any] = {"form": form, "found": None}
    if kind in Target.values and name:
        try:
            found = targets.find(Target(kind), name)
        except RegistryError as error:
            context["unknown"] = error.message
        else:
            context |= _known(found)
            allowed = [(act.value, act.label) for act in context["possible"]]
            form.fields["act"].widget.choices = allowed
    return context


def _known(found: targets.Found) -> dict[str, Any]:
    kind = Target(found.kind)
    return {
        "found": found,
        "possible": moderated.possible(kind, found.standing),
        "history": list(moderated.actions().filter(kind=kind, target=found.target)[:20]),
        "reports": list(
            Report.objects.filter(kind=kind, target=found.target).order_by("-created_at")[:20]
        ),
    }


def _preview(form: ActForm, shown: moderation.Preview) -> dict[str, Any]:
    act = Act(form.cleaned_data["act"])
    statement = shown.statement
    return {
        "title": f"{act.label.capitalize()} {shown.found.name}",
        "form": form,
        "found": shown.found,
        "seen": shown.seen,
        "act": act,
        "past": moderated.PAST[act],
        "dangerous": act in moderated.DANGEROUS,
        "category": dict(form.fields["category"].choices)[form.cleaned_data["category"]],  # type: ignore[attr-defined]  # a choice field
        "reason": statement.predicate["reason"],
        "statement": _PRETTY.encode(
            {
                "subject": [
                    {"name": one.name, "digest": {"sha256": one.sha256}}
                    for one in statement.subjects
                ],
                "predicateType": statement.predicate_type,
                "predicate": statement.predicate,
            }
        ),
    }


# ------------------------------------------------------------------ reports


@admin.register(Report)
class ReportAdmin(ForModerators):
    """What readers say is wrong, what waits longest first."""

    list_display = ("name", "kind", "category", "waiting", "state", "created_at")
    list_filter = ("state", "kind", "category")
    search_fields = ("name", "text")
    ordering = ("-state", "created_at")  # `waiting` is the last of the states in the alphabet
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Report]:
        same = (
            Report.objects.filter(
                kind=OuterRef("kind"), target=OuterRef("target"), state=ReportState.WAITING
            )
            .order_by()
            .values("kind")
            .annotate(n=Count("pk"))
            .values("n")
        )
        rows: QuerySet[Report] = super().get_queryset(request)
        return rows.annotate(same=Subquery(same, output_field=IntegerField()))

    @admin.display(description="Waiting")
    def waiting(self, obj: Report) -> int:
        """Return how many readers wait for an answer about the same thing."""
        found: int | None = obj.same  # type: ignore[attr-defined]  # an annotation
        return found or 0

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show a report with everything around it; dismiss it and those about the same thing."""
        user = moderator(request)
        rows = Report.objects.select_related("user", "action")
        row = get_object_or_404(rows, pk=_number(object_id))
        status = 200
        if request.method == "POST":
            try:
                done = moderation.dismiss(user, flags.waiting_about(row), request.POST["note"])
                messages.success(request, f"{done} dismissed.")
                return redirect("admin:registry_report_changelist")
            except (RegistryError, KeyError) as error:
                messages.error(request, getattr(error, "message", "Write a note."))
                status = 400
        context = {"title": f"Report about {row.name}", "report": row, **self._context(row)}
        return self.page(request, "report", context, status)

    def _context(self, row: Report) -> dict[str, Any]:
        try:
            return _known(targets.find(Target(row.kind), targets.name_of(row)))
        except RegistryError as error:
            return {"unknown": error.message}


# ------------------------------------------------------------------ appeals


@admin.register(Objection)
class ObjectionAdmin(ForModerators):
    """Appeals against actions, those that wait first."""

    list_display = ("action", "user", "created_at", "state", "moderator", "decided_at")
    list_select_related = ("action", "user", "moderator")
    list_filter = ("state",)
    ordering = ("-state", "created_at")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show an appeal; show what the answer would be (POST), give it (POST `do`)."""
        rows = Objection.objects.select_related("action", "user", "moderator", "outcome")
        row = get_object_or_404(rows, pk=_number(object_id))
        user = moderator(request) if request.method != "POST" else sure_moderator(request)
        form = DecisionForm(request.POST or None)
        newest = moderated.newest(Target(row.action.kind), row.action.target)
        context: dict[str, Any] = {
            "title": f"Appeal against action {row.action.number}",
            "objection": row,
            "form": form,
            "own": user.pk == row.action.moderator_id or targets.may_object(user, row.action),
            "seen": newest.number if newest else 0,
        }
        if form.is_valid():
            if "do" not in request.POST:
                context["granted"] = form.cleaned_data["state"] == ObjectionState.GRANTED
                return self.page(request, "decision", context)
            try:
                done = objections.decide(user, row, **form.cleaned_data, seen=_seen(request))
                messages.success(request, f"Answered: {done.get_state_display()}.")
                return redirect(moderated.action_url(row.action))
            except REFUSALS as error:
                form.add_error(None, str(error))
        return self.page(request, "appeal", context, 400 if form.errors else 200)
