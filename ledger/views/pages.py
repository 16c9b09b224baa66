"""`/ledger/`: the log for people. Every page says what can be computed again from `/log/`."""

from __future__ import annotations

import re
from json import JSONEncoder
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from assay.canonical import parse_json
from assay.dsse import PublicKey
from ledger.choices import Kind
from ledger.errors import NotIncludedError
from ledger.logs import current_log
from ledger.models import Entry
from ledger.publication import full_note
from ledger.selectors import Filter, about, entries, entry_at, neighbours, published
from ledger.services import heads, receipts
from ledger.summary import summary

PAGE = 50
_DIGEST = re.compile(r"(?:sha256:)?(?P<hex>[0-9a-f]{64})", re.IGNORECASE)
_INDEX = re.compile(r"[0-9]{1,18}")


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """List the newest entries, or those below `?before=`, of one `?kind=` or `?model=`."""
    wanted = Filter(
        kind=_kind(request.GET.get("kind", "")), model=request.GET.get("model", "")[:200]
    )
    return _list(request, wanted, query="")


@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """Find an entry by index, or all that have to do with a digest or a key's fingerprint."""
    query = request.GET.get("q", "").strip()
    if _INDEX.fullmatch(query) and entry_at(int(query)):
        return redirect("ledger:entry", int(query))
    digest = _DIGEST.fullmatch(query)
    if digest is None:
        return _list(request, None, query=query)
    wanted = digest["hex"].lower()
    found = list(current_log().entries.filter(about(wanted))[:2])
    if len(found) == 1:
        return redirect(*_address(found[0]))
    return _list(request, Filter(digest=wanted), query=query)


@require_safe
def entry(request: HttpRequest, index: int) -> HttpResponse:
    """Show one entry: statement, raw bytes, leaf hash, proof, envelope."""
    found = entry_at(index)
    if found is None:
        context = {"index": index, "head": heads.newest_checkpoint()}
        return render(request, "ledger/pending.html", context, status=404)
    previous, following = neighbours(found.log.entries.all(), "index", index)
    proof, note = _proof(found)
    context = _statement(found) | {
        "index": index,
        "proof": proof,
        "checkpoint_note": note,
        "previous": previous,
        "next": following,
    }
    return render(request, "ledger/entry.html", context)


@require_safe
def pending(request: HttpRequest, entry_id: int) -> HttpResponse:
    """Show an entry that has no index yet; once it has one, its page is the other."""
    rows = current_log().entries.select_related("payload", "log")
    found = rows.filter(pk=entry_id).first()
    if found is None:
        raise Http404
    if found.index is not None:
        return redirect("ledger:entry", found.index)
    context = _statement(found) | {"head": heads.newest_checkpoint()}
    return render(request, "ledger/pending.html", context)


@require_safe
def checkpoint(request: HttpRequest, size: int) -> HttpResponse:
    """Show a published checkpoint and who cosigned it."""
    log = current_log()
    found = published(log).filter(size=size).first()
    if found is None:
        raise Http404
    previous, following = neighbours(published(log), "size", size)
    context = {
        "checkpoint": found,
        "root": bytes(found.root).hex(),
        "note_text": full_note(found).decode(),
        "cosignatures": found.cosignatures.all(),
        "log_vkey": log.vkey,
        "previous": previous,
        "next": following,
    }
    return render(request, "ledger/checkpoint.html", context)


def _list(request: HttpRequest, wanted: Filter | None, *, query: str) -> HttpResponse:
    """Render a page of entries; `wanted` is None when nothing can match."""
    chosen = wanted or Filter()
    before = request.GET.get("before", "")
    limit = int(before) if _INDEX.fullmatch(before) else None
    rows = list(entries(chosen, limit)[: PAGE + 1]) if wanted else []
    following = rows[PAGE - 1].index if len(rows) > PAGE else None
    kept = {"kind": chosen.kind, "model": chosen.model, "q": query, "before": following}
    context = {
        "entries": [_row(row) for row in rows[:PAGE]],
        "next_before": following,
        "next_query": urlencode({name: value for name, value in kept.items() if value}),
        "kinds": Kind.choices,
        "kind": chosen.kind,
        "model": chosen.model,
        "query": query,
        "head": heads.newest_checkpoint(),
    }
    return render(request, "ledger/list.html", context)


def _row(row: Entry) -> dict[str, Any]:
    return {
        "index": row.index,
        "kind": row.kind,
        "kind_label": row.get_kind_display(),
        "model": row.model,
        "fingerprint": row.fingerprint,
        "created_at": row.created_at,
        "statement_summary": summary(row),
    }


def _statement(found: Entry) -> dict[str, Any]:
    """Return what is known of an entry before and after it has an index."""
    payload = bytes(found.payload.payload)
    statement = parse_json(payload)
    pretty = JSONEncoder(indent=2, ensure_ascii=False).encode(statement)
    return {
        "entry": found,
        "statement": statement,
        "statement_json": pretty,
        "raw_payload": payload.decode(),
        "envelope_json": receipts.envelope_of(found).to_json().decode(),
        "pae_sha256": bytes(found.payload_id).hex(),
        "leaf_hash": bytes(found.leaf_hash).hex(),
        "key_pem": PublicKey(spki=bytes(found.public_key)).pem,
        "subjects": found.subjects.all()[:1000],
    }


def _proof(found: Entry) -> tuple[dict[str, Any] | None, str]:
    try:
        proof = receipts.prove(found)
    except NotIncludedError:
        return None, ""
    hashes = [value.hex() for value in proof.hashes]
    return {"size": proof.size, "root": proof.root.hex(), "hashes": hashes}, (
        proof.checkpoint.decode()
    )


def _kind(text: str) -> str:
    return text if text in Kind.values else ""


def _address(found: Entry) -> tuple[str, int]:
    if found.index is None:
        return "ledger:pending", found.pk
    return "ledger:entry", found.index
