"""`/ledger/<index>/`: one entry, decoded and as it was recorded, and its evidence to take away."""

from __future__ import annotations

import shlex
from json import JSONEncoder
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_safe

from assay.bundle import MEDIA_TYPE
from assay.canonical import parse_json
from assay.dsse import PublicKey
from assay.tiles import TILE_WIDTH, Tile
from ledger.errors import LogDamagedError, NotIncludedError
from ledger.models import Checkpoint, Entry
from ledger.selectors import entry_at, newest_published, published, witnessing
from ledger.services import receipts
from ledger.services.links import entry_url
from ledger.summary import summary
from ledger.views.frame import Place, place_of, shown

SUBJECTS = 1000
PROOF_TYPE = "text/plain; charset=utf-8"


@require_safe
def entry(request: HttpRequest, index: int) -> HttpResponse:
    """Show one entry: what it says, who signed it, raw bytes, leaf hash, proof, witnesses."""
    place = place_of(request)
    found = entry_at(place.log, index)
    if found is None:
        return shown(request, "ledger/missing.html", place, {"index": index}, status=404)
    newest = newest_published(place.log)
    context = {
        **_statement(found),
        **_proof(found, newest),
        "life": _life(found, index),
        "index": index,
        "verify_lines": _verify_lines(found, index, place),
        # A log has no gaps: nobody needs to look for the neighbours.
        "previous": index - 1 if index > 0 else None,
        "next": index + 1 if index + 1 < place.log.size else None,
    }
    status = 500 if "damage" in context else 200
    return shown(request, "ledger/entry.html", place, context, newest=newest, status=status)


@require_safe
def pending(request: HttpRequest, entry_id: int) -> HttpResponse:
    """Show an entry that has no index yet; once it has one, its page is the other."""
    found = Entry.objects.select_related("payload", "log").filter(pk=entry_id).first()
    if found is None:
        raise Http404
    if found.index is not None:
        return redirect(entry_url(found))
    return shown(request, "ledger/pending.html", place_of(request), _statement(found))


@require_safe
def bundle(request: HttpRequest, index: int) -> HttpResponse:
    """Answer the Sigstore bundle of an entry, to be saved."""
    found = _entry_or_404(request, index)
    return _attachment(receipts.receipt(found.pk), f"entry-{index}.sigstore.json", MEDIA_TYPE)


@require_safe
def tlog_proof(request: HttpRequest, index: int) -> HttpResponse:
    """Answer the proof of an entry in C2SP's tlog-proof format, to be saved."""
    found = _entry_or_404(request, index)
    return _attachment(receipts.tlog_proof(found.pk), f"entry-{index}.tlog-proof", PROOF_TYPE)


def _verify_lines(found: Entry, index: int, place: Place) -> str:
    """Return how to take the bundle and check it, ready to paste."""
    name = f"entry-{index}.sigstore.json"
    kind = parse_json(bytes(found.payload.payload))["predicateType"]
    url = f"{settings.SITE_URL}/ledger/{index}/bundle{place.query}"
    return f"curl -fo {name} {shlex.quote(url)}\nassay verify {name} --type {shlex.quote(kind)}"


def _entry_or_404(request: HttpRequest, index: int) -> Entry:
    found = entry_at(place_of(request).log, index)
    if found is None:
        raise Http404
    return found


def _attachment(data: bytes, name: str, content_type: str) -> HttpResponse:
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-cache",  # a better checkpoint may cover the entry later
    }
    return HttpResponse(data, content_type=content_type, headers=headers)


def _statement(found: Entry) -> dict[str, Any]:
    """Return what is known of an entry before and after it has an index."""
    payload = bytes(found.payload.payload)
    statement = parse_json(payload)
    return {
        "entry": found,
        "summary": summary(found),
        "statement_json": JSONEncoder(indent=2, ensure_ascii=False).encode(statement),
        "raw_payload": payload.decode(),
        "envelope_json": receipts.envelope_of(found).to_json().decode(),
        "pae_sha256": bytes(found.payload_id).hex(),
        "leaf_hash": bytes(found.leaf_hash).hex(),
        "key_pem": PublicKey(spki=bytes(found.public_key)).pem,
        "subjects": found.subjects.all()[:SUBJECTS],
    }


def _proof(found: Entry, newest: Checkpoint) -> dict[str, Any]:
    """Return the proof, who cosigned its checkpoint, and the files that hold the entry."""
    try:
        proof = receipts.prove(found)
    except NotIncludedError:
        return {"proof": None}
    except LogDamagedError as error:
        return {"proof": None, "damage": error.message}
    if proof.size == newest.size:
        covering = newest
    else:
        covering = published(found.log).get(size=proof.size)
    return {
        "proof": {
            "size": proof.size,
            "root": proof.root.hex(),
            "hashes": [value.hex() for value in proof.hashes],
        },
        "checkpoint_note": proof.checkpoint.decode(),
        "witnessing": witnessing(covering),
        "files": files_of(proof.index, proof.size),
    }


def _life(found: Entry, index: int) -> list[dict[str, Any]]:
    """Return what became of an entry, in order, as `components/timeline.html` shows it."""
    first = published(found.log).filter(size__gt=index).order_by("size").first()
    life: list[dict[str, Any]] = [
        {"state": "done", "words": "Taken in", "at": found.created_at},
        {"state": "done", "words": f"Given index {index}"},
    ]
    if first is None:
        return [*life, {"state": "next", "words": "Covered by a checkpoint"}]
    signed = witnessing(first)
    life.append(
        {"state": "done", "words": f"Covered by checkpoint {first.size}", "at": first.signed_at}
    )
    life += [
        {"state": "done", "words": f"Cosigned by {one.name}", "at": one.at} for one in signed.signed
    ]
    if signed.needed and not signed.met:
        words = f"Cosigned by {signed.needed} witness{'es' if signed.needed > 1 else ''}"
        detail = (
            f"{len(signed.signed)} of {signed.asked} signed that checkpoint; a later one counts too"
        )
        life.append({"state": "next", "words": words, "detail": detail})
    return life


def files_of(index: int, size: int) -> dict[str, Any]:
    """Return the paths of the entry's bundle and hash tile in the tree of `size` entries."""
    number, place = divmod(index, TILE_WIDTH)
    width = min(TILE_WIDTH, size - number * TILE_WIDTH)
    return {
        "bundle": Tile(level=None, index=number, width=width).path,
        "hashes": Tile(level=0, index=number, width=width).path,
        "place": place,
    }
