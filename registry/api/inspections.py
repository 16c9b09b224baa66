"""`…/revisions/<revision>/inspection` and `…/appeal`: the scan report, and who may look again."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from assay.statements import timestamp
from registry import selectors
from registry.api.base import PublicView, account, caller, find_model, read
from registry.errors import UnknownAppealError
from registry.inspection_rules import LIMITS, RULES
from registry.models import Appeal, Revision
from registry.rights import sees_drafts
from registry.services import appeals


class AppealIn(serializers.Serializer[Any]):
    """`POST …/appeal`."""

    text = serializers.CharField(max_length=appeals.MAX_TEXT)


def _revision(request: Request, owner: str, name: str, revision: str) -> Revision:
    model = find_model(request, owner, name)
    return selectors.find_revision(model, revision, caller(request))


def _finding(item: dict[str, Any]) -> dict[str, Any]:
    rule = RULES.get(str(item.get("code")))
    return {
        **item,
        "meaning": rule.meaning if rule else "",
        "help": f"{settings.SITE_URL}/docs/inspection/#{item.get('code')}",
    }


def appeal(row: Appeal) -> dict[str, Any]:
    """Return an appeal."""
    return {
        "state": row.state,
        "text": row.text,
        "answer": row.answer,
        "created_at": timestamp(row.created_at),
        "answered_at": timestamp(row.answered_at) if row.answered_at else None,
    }


class Inspection(PublicView):
    """The report on a revision: state, findings with their rules, what was looked into, limits."""

    def get(self, request: Request, owner: str, name: str, revision: str) -> Response:
        found = _revision(request, owner, name, revision)
        report = found.report
        drafts = sees_drafts(caller(request), found.model)
        newest = found.appeals.order_by("-created_at", "-pk").first() if drafts else None
        return Response(
            {
                "revision": found.pk,
                "state": found.state,
                "word": found.get_state_display(),
                "inspected_at": timestamp(found.inspected_at) if found.inspected_at else None,
                "findings": [_finding(item) for item in report.get("findings", ())],
                "graph": found.graph_path,
                "graphs": report.get("graphs", {}),
                "facts": report.get("facts"),
                "trial": report.get("trial"),
                "limits": [
                    {"rule": code, "what": what, "limit": limit} for code, what, limit in LIMITS
                ],
                "appeal": appeal(newest) if newest else None,
            }
        )


class AppealView(PublicView):
    """Ask a moderator to look at a failed inspection; see what the answer is."""

    def get(self, request: Request, owner: str, name: str, revision: str) -> Response:
        found = _revision(request, owner, name, revision)
        if not sees_drafts(caller(request), found.model):
            raise UnknownAppealError("Nobody has appealed.", revision=found.pk)
        return Response(appeal(appeals.newest(found)))

    def post(self, request: Request, owner: str, name: str, revision: str) -> Response:
        user = account(request)
        found = _revision(request, owner, name, revision)
        made = appeals.ask(user, found, read(AppealIn, request)["text"])
        return Response(appeal(made), status=201)
