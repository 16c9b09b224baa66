"""`/api/v1/ledger/`: heads, entries and logs, for programs that search rather than verify."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from assay.canonical import parse_json
from assay.digests import parse_hex
from ledger import search, selectors
from ledger.api.serializers import (
    CheckpointSerializer,
    EntriesQuery,
    EntryDetailSerializer,
    EntrySerializer,
    LogQuery,
    LogSerializer,
    PageQuery,
)
from ledger.errors import NotIncludedError
from ledger.logs import all_logs, current_log
from ledger.models import Entry
from ledger.search import Filter
from ledger.services import heads, receipts
from ledger.standing import standing

FILTERS = ("kind", "model", "owner", "signer", "digest")


class HeadView(APIView):
    """The newest published checkpoint, and whether anything is logged now.

    `age_s` is seconds since it was signed.
    """

    def get(self, request: Request) -> Response:
        head = heads.newest_checkpoint()
        age = timezone.now() - head.signed_at
        now = standing(current_log())
        return Response(
            {
                "origin": head.origin,
                "size": head.size,
                "root": head.root.hex(),
                "witnesses": head.witnesses,
                "quorum": head.quorum,
                "signed_at": head.signed_at,
                "age_s": round(max(age.total_seconds(), 0.0), 3),
                "state": now.state,
                "reason": now.reason,
                "note": head.note.decode(),
            }
        )


class EntriesView(APIView):
    """A page of entries, the newest first, and with the newest ones what still waits."""

    def get(self, request: Request) -> Response:
        given = _query(EntriesQuery, request)
        log = selectors.find_log(given["log"])
        wanted = Filter(**{name: given[name] for name in FILTERS if name in given})
        edges = {name: given[name] for name in ("before", "after") if name in given}
        page = search.page(log, wanted, limit=given["limit"], **edges)
        waiting = [] if edges else search.waiting(log, wanted, given["limit"])
        return Response(
            {
                "entries": EntrySerializer(page.rows, many=True).data,
                "pending": EntrySerializer(waiting, many=True).data,
                "next_before": page.older,
                "next_after": page.newer,
            }
        )


class EntryView(APIView):
    """One entry: statement, envelope, Sigstore bundle (null until a checkpoint covers it)."""

    def get(self, request: Request, index: int) -> Response:
        log = selectors.find_log(_query(LogQuery, request)["log"])
        return _detail(selectors.entry_at(log, index))


class ClaimView(APIView):
    """The entry of a claim: what somebody asks whose answer got lost. In whichever log it is."""

    def get(self, request: Request, fingerprint: str, pae_sha256: str) -> Response:
        parse_hex(fingerprint, "fingerprint")
        digest = parse_hex(pae_sha256, "pae_sha256")
        return _detail(selectors.entry_by_claim(fingerprint, digest))


class CheckpointsView(APIView):
    """A page of published checkpoints, the largest first."""

    def get(self, request: Request) -> Response:
        given = _query(PageQuery, request)
        log = selectors.find_log(given["log"])
        edges = {name: given[name] for name in ("before", "after") if name in given}
        page = selectors.checkpoints(log, limit=given["limit"], **edges)
        return Response(
            {
                "checkpoints": CheckpointSerializer(page.rows, many=True).data,
                "next_before": page.older,
                "next_after": page.newer,
            }
        )


class LogsView(APIView):
    """The logs of this installation, the oldest first."""

    def get(self, request: Request) -> Response:
        return Response({"logs": LogSerializer(all_logs(), many=True).data})


def _query(form: type[LogQuery], request: Request) -> dict[str, Any]:
    query = form(data=request.query_params)
    query.is_valid(raise_exception=True)
    given: dict[str, Any] = query.validated_data
    return given


def _detail(entry: Entry | None) -> Response:
    if entry is None:
        raise Http404
    envelope = receipts.envelope_of(entry).to_dict()
    return Response(
        {**EntryDetailSerializer(entry).data, "envelope": envelope, "bundle": _bundle(entry)}
    )


def _bundle(entry: Entry) -> Any:
    try:
        return parse_json(receipts.receipt(entry.pk))
    except NotIncludedError:
        return None
