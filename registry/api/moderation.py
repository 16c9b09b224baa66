"""`/api/v1/moderation`: what moderators did, for everybody. Nobody moderates through the API."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from assay.bundle import MEDIA_TYPE
from assay.statements import timestamp
from ledger import services as ledger
from ledger.services.receipts import envelope_of
from registry import moderated
from registry.api.base import PublicView
from registry.api.paging import page_rows
from registry.choices import Act, Target
from registry.errors import InvalidInputError
from registry.models import ModerationAction


class Actions(PublicView):
    """List the actions, newest first; `?kind=` and `?name=` leave those about one kind or thing."""

    def get(self, request: Request) -> Response:
        rows = moderated.actions()
        kind, name = (request.query_params.get(word, "") for word in ("kind", "name"))
        if kind and kind not in Target.values:
            raise InvalidInputError(f"'kind' is one of {', '.join(Target.values)}.", field="kind")
        if kind:
            rows = rows.filter(kind=kind)
        if name:
            rows = rows.filter(name__iexact=name.replace("\0", "\ufffd"))
        return page_rows(request, rows, ("-number",), line)


class Action(PublicView):
    """One action with its signed statement."""

    def get(self, request: Request, action_number: int) -> Response:
        found = moderated.find_action(action_number)
        return Response({**line(found), "statement": envelope_of(found.entry).to_dict()})


class Bundle(PublicView):
    """The statement as a Sigstore bundle with its proof of inclusion."""

    tagged = False

    def get(self, request: Request, action_number: int) -> HttpResponse:
        found = moderated.find_action(action_number)
        return HttpResponse(ledger.receipt(found.entry_id), content_type=MEDIA_TYPE)


def line(row: ModerationAction) -> dict[str, Any]:
    """Return an action; `index` is null until the log has sequenced the entry."""
    page = f"{settings.SITE_URL}{moderated.action_url(row)}"
    return {
        "number": row.number,
        "act": row.act,
        "kind": row.kind,
        "name": row.name,
        "sha256": row.sha256,
        "standing": moderated.LEADS_TO[Act(row.act)].value,
        "category": row.category,
        "reason": row.reason,
        "acted_at": timestamp(row.created_at),
        "entry": row.entry_id,
        "log": ledger.log_origin(row.entry),
        "index": row.entry.index,
        "appeal": _appeal(row),
        "url": page,
        "bundle_url": f"{page}moderation.sigstore.json",
    }


def _appeal(row: ModerationAction) -> dict[str, Any] | None:
    objection = moderated.objection_of(row)
    if objection is None:
        return None
    return {
        "state": objection.state,
        "answer": objection.answer,
        "made_at": timestamp(objection.created_at),
        "decided_at": timestamp(objection.decided_at) if objection.decided_at else None,
    }
