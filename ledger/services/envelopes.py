"""The envelope resource of the log: one payload, and the signatures of all its leaves."""

from __future__ import annotations

from collections.abc import Sequence

from assay.canonical import canonical_json
from ledger.models import Entry
from ledger.services.receipts import envelope_of


def render_envelope(leaves: Sequence[Entry]) -> bytes:
    """Return the RFC 8785 JSON of `GET /log/envelopes/<hex>`.

    `leaves` are the sequenced entries over one payload, at least one, in log order: a reader takes
    the signature that equals its leaf's.
    """
    first, *others = [envelope_of(leaf).to_dict() for leaf in leaves]
    for other in others:
        first["signatures"] += other["signatures"]
    return canonical_json(first)
