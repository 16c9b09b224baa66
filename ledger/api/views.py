"""`/api/v1/ledger/`: the head and the entries, for programs that search rather than verify."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from assay.canonical import parse_json
from ledger.api.serializers import EntriesQuery, EntryDetailSerializer, EntrySerializer
from ledger.errors import NotIncludedError
from ledger.models import Entry
from ledger.selectors import Filter, entries, entry_at
from ledger.services import heads, receipts


class HeadView(APIView):
    """The newest published checkpoint: `age_s` is seconds since it was signed."""

    def get(self, request: Request) -> Response:
        head = heads.newest_checkpoint()
        age = timezone.now() - head.signed_at
        return Response(
            {
                "origin": head.origin,
                "size": head.size,
                "root": head.root.hex(),
                "witnesses": head.witnesses,
                "quorum": head.quorum,
                "signed_at": head.signed_at,
                "age_s": round(max(age.total_seconds(), 0.0), 3),
                "note": head.note.decode(),
            }
        )


class EntriesView(APIView):
    """A page of entries, the newest first; `next_before` asks for the next one, null at the end."""

    def get(self, request: Request) -> Response:
        query = EntriesQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        given = query.validated_data
        limit = given["limit"]
        wanted = Filter(
            kind=given.get("kind", ""),
            model=given.get("model", ""),
            digest=given.get("digest", ""),
        )
        rows = list(entries(wanted, given.get("before"))[: limit + 1])
        following = rows[limit - 1].index if len(rows) > limit else None
        found = EntrySerializer(rows[:limit], many=True).data
        return Response({"entries": found, "next_before": following})


class EntryView(APIView):
    """One entry: statement, envelope, Sigstore bundle (null until a checkpoint covers it)."""

    def get(self, request: Request, index: int) -> Response:
        entry = entry_at(index)
        if entry is None:
            raise Http404
        envelope = receipts.envelope_of(entry).to_dict()
        return Response(
            {
                **EntryDetailSerializer(entry).data,
                "envelope": envelope,
                "bundle": _bundle(entry),
            }
        )


def _bundle(entry: Entry) -> Any:
    try:
        return parse_json(receipts.receipt(entry.pk))
    except NotIncludedError:
        return None
