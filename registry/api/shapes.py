"""The shape of what goes out: rows to JSON, and nothing decided."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from assay.canonical import encode_base64
from assay.statements import Observed, timestamp
from ledger import services as ledger
from registry import claims, selectors
from registry.choices import Standing
from registry.models import Key, KeyBackup, Model, Release, Revision, Upload
from registry.moderated import card_text
from registry.services import cards, uploads
from registry.services.direct import Address
from registry.signers import Signer


def _time(instant: datetime | None) -> str | None:
    return None if instant is None else timestamp(instant)


def upload(row: Upload) -> dict[str, Any]:
    """Return an upload."""
    return {
        "id": str(row.pk),
        "state": row.state,
        "owner": row.owner.name,
        "sha256": row.sha256,
        "size": row.size,
        "part_size": row.part_size,
        "direct": bool(row.multipart),
        "parts": uploads.part_count(row),
        "missing": uploads.missing(row),
        "error": row.error,
    }


def address(row: Address) -> dict[str, Any]:
    """Return where a part is sent."""
    return {
        "number": row.number,
        "method": "PUT",
        "url": row.url,
        "size": row.size,
        "expires_at": _time(row.expires_at),
    }


def model(row: Model) -> dict[str, Any]:
    """Return a model; `latest` is the version of its newest release."""
    return {
        "id": row.full_name,
        "owner": row.owner.name,
        "name": row.name,
        "visibility": row.visibility,
        "head": row.head_id,
        "latest": getattr(row, "latest", None),
        "created_at": _time(row.created_at),
        "updated_at": _time(row.updated_at),
    }


def revision(row: Revision) -> dict[str, Any]:
    """Return a revision whole: files, report, card."""
    released = getattr(row, "release", None)
    return {
        "id": row.pk,
        "model": row.model.full_name,
        "state": row.state,
        "parent": row.parent_id,
        "author": row.author.get_username(),
        "message": row.message,
        "created_at": _time(row.created_at),
        "manifest": row.manifest,
        "subject_digest": selectors.subject_digest(row),
        "files": [
            {"path": file.path, "sha256": file.blob_id, "size": file.blob.size}
            for file in selectors.files(row)
        ],
        "report": row.report,
        "card": {"metadata": row.card_metadata, "body_html": cards.render(card_text(row))},
        "graph_path": row.graph_path,
        "release": released.version if released else None,
    }


def revision_line(row: Revision) -> dict[str, Any]:
    """Return a revision as a list has it: without files, report and card."""
    released = getattr(row, "release", None)
    return {
        "id": row.pk,
        "state": row.state,
        "parent": row.parent_id,
        "author": row.author.get_username(),
        "message": row.message,
        "created_at": _time(row.created_at),
        "manifest": row.manifest,
        "release": released.version if released else None,
    }


def signing(row: Revision, observed: Observed) -> dict[str, Any]:
    """Return everything that the signer must see, and sign."""
    want = claims.expected(row)
    last = row.model.releases.order_by("-number").values_list("version", flat=True).first()
    return {
        "observed": observed.to_dict(),
        "model": want.model,
        "revision": want.revision,
        "manifest": want.manifest.digest,
        "subject_digest": want.manifest.subject_digest,
        "resources": want.manifest.to_list(),
        "files": [{"path": path, "sha256": sha256} for path, sha256 in want.files],
        "card": {"sha256": want.card, "metadata": want.metadata},
        "license": want.license,
        "previous": want.previous,
        "next_version": claims.next_version(last),
    }


def release(row: Release) -> dict[str, Any]:
    """Return a release; an index is null until the log has sequenced the entry.

    An index is one of the log beside it: of the current one, or of one that was frozen since.
    """
    return {
        "model": row.model.full_name,
        "version": row.version,
        "number": row.number,
        "revision": row.revision_id,
        "manifest": row.revision.manifest,
        "notes": "" if row.standing == Standing.TAKEN_DOWN else row.notes,
        "key": row.key_id,
        "author": row.author.get_username(),
        "created_at": _time(row.created_at),
        "yanked_at": _time(row.yanked_at),
        "yank_reason": row.yank_reason,
        "run": _run(row),
        "claims": {
            claim.kind: {
                "entry": claim.entry_id,
                "log": ledger.log_origin(claim.entry),
                "index": claim.entry.index,
            }
            for claim in row.claims.all()
        },
    }


def _run(row: Release) -> dict[str, Any] | None:
    """Return the run of a trusted publisher that published a release; None for a person."""
    published = getattr(row, "ci", None)
    if published is None:
        return None
    return {"issuer": published.run.issuer, "claims": published.run.claims}


def key(row: Key) -> dict[str, Any]:
    """Return a key."""
    return {
        "fingerprint": row.pk,
        "owner": row.owner.name if row.owner else None,
        "role": row.role,
        "state": row.state,
        "name": row.name,
        "public_key": selectors.public_key(row).pem,
        "entry": row.entry_id,
        "log": ledger.log_origin(row.entry),
        "index": row.entry.index,
        "previous": row.previous_id,
        "superseded_in_log": ledger.log_origin(row.supersession) if row.supersession else None,
        "superseded_at_index": row.supersession.index if row.supersession else None,
        "revoked_in_log": ledger.log_origin(row.revocation) if row.revocation else None,
        "revoked_at_index": row.revocation.index if row.revocation else None,
        "revocation_reason": row.revocation_reason,
        "created_at": _time(row.created_at),
        "last_used_at": _time(row.last_used_at),
    }


def signer(one: Signer) -> dict[str, Any]:
    """Return a run of releases that one key signed."""
    return {
        "key": one.key.pk,
        "key_name": one.key.name,
        "state": one.key.state,
        "change": str(one.change),
        "first": one.first,
        "last": one.last,
        "since": _time(one.since),
        "until": _time(one.until),
        "releases": one.releases,
    }


def backup(row: KeyBackup) -> dict[str, Any]:
    """Return a wrapped private key; bytes in base64."""
    return {
        "fingerprint": row.key_id,
        "wrapped": encode_base64(bytes(row.wrapped)),
        "salt": encode_base64(bytes(row.salt)),
        "iterations": row.iterations,
        "iv": encode_base64(bytes(row.iv)),
    }
