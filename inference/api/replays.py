"""`/api/v1/…/replay`: ask for replays, hand in one's own, see what was found and what was drawn."""

from __future__ import annotations

import uuid
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from assay.canonical import encode_base64
from assay.dsse import parse_envelope
from assay.errors import AssayError
from assay.statements import timestamp
from inference import quota, selectors
from inference.api.views import ExecutionView
from inference.choices import ReplayState
from inference.errors import BadReplayError, BadRequestError
from inference.models import AuditRound, Replay
from inference.services.replays.asked import request_replay
from inference.services.replays.handed import submit_replay
from ledger import services as ledger
from registry.api.paging import page_rows

# A replay costs a process: it counts as so many requests.
COST = 10
PAGE = 50


class AskReplay(ExecutionView):
    """Ask the registry's own auditor to run an execution again."""

    def post(self, request: Request, execution: uuid.UUID) -> Response:
        """Answer 202 with the replay that is pending, 200 when it was asked for before."""
        quota.take(request, request.user, cost=COST)
        asked = request_replay(execution, request.user)
        address = f"/api/v1/executions/{execution}/replays"
        status = 202 if asked.new else 200
        return Response(shape(asked.replay), status=status, headers={"Location": address})


class Replays(ExecutionView):
    """The replays of an execution."""

    def get(self, request: Request, execution: uuid.UUID) -> Response:
        """List them, newest first."""
        row = selectors.find(execution, request.user)
        found = Replay.objects.filter(execution=row).select_related("entry")
        return page_rows(request, found, ("-id",), shape)


class HandInReplay(ExecutionView):
    """Hand in a replay statement that one's own auditor key has signed."""

    def post(self, request: Request) -> Response:
        """Log it and show it beside the execution: 201, or 200 when that has happened."""
        given = request.data
        if not isinstance(given, dict) or set(given) != {"envelope", "key"}:
            raise BadRequestError("Send an object with the fields envelope and key.")
        if not isinstance(given["key"], str) or not isinstance(given["envelope"], dict):
            raise BadRequestError("'envelope' is a DSSE envelope, 'key' a fingerprint in hex.")
        quota.take(request, request.user)
        try:
            envelope = parse_envelope(given["envelope"])
        except AssayError as error:
            raise BadReplayError(f"The envelope was refused: {error}.") from error
        handed = submit_replay(envelope, given["key"], request.user)
        return Response(shape(handed.replay), status=201 if handed.new else 200)


class Rounds(ExecutionView):
    """The rounds in which the registry's own auditor drew lots."""

    def get(self, request: Request) -> Response:
        """List them, newest first: `?cursor=` is the start of the last one shown."""
        rows = AuditRound.objects.order_by("-id")
        cursor = request.query_params.get("cursor", "")
        if cursor.isascii() and cursor.isdigit() and len(cursor) < 19:
            rows = rows.filter(pk__lt=int(cursor))
        found = list(rows[: PAGE + 1])
        more = len(found) > PAGE
        items = [_round(row) for row in found[:PAGE]]
        return Response({"items": items, "next": str(found[PAGE - 1].pk) if more else ""})


def _round(row: AuditRound) -> dict[str, Any]:
    return {
        "log": row.origin,
        "start": row.start,
        "end": row.end,
        "rate": row.rate,
        "seed": row.seed,
        "checkpoint": {
            "size": row.seed_size,
            "time": timestamp(row.seed_at),
            "note": encode_base64(bytes(row.note)),
        },
        "executions": row.executions,
        "drawn": row.sampled,
        "done": row.replays.filter(state=ReplayState.DONE).count(),
        "created_at": timestamp(row.created_at),
    }


def shape(row: Replay) -> dict[str, Any]:
    """Return a replay as JSON; `entry` is null until it is logged, its index until it has one."""
    entry = row.entry
    return {
        "id": str(row.pk),
        "execution": str(row.execution_id),
        "source": row.source,
        "state": row.state,
        "verdict": row.verdict or None,
        "auditor": row.auditor or None,
        "runtime": row.runtime,
        "output": row.output_digest or None,
        "first_divergence": row.first_divergence or None,
        "reason": row.reason or None,
        "entry": None if entry is None else {"log": ledger.log_origin(entry), "index": entry.index},
        "created_at": timestamp(row.created_at),
        "finished_at": None if row.finished_at is None else timestamp(row.finished_at),
    }
