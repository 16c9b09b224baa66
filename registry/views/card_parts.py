"""What the card's page and a release's page show beside the card itself.

Three kinds are kept apart on every page: what was read from the files, what the publisher claims,
and what an execution proves.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from registry import lineage
from registry.models import Release, Revision, RevisionFile
from registry.rights import Caller
from registry.services import evaluations, exports
from registry.services.cards_checklist import checklist
from registry.services.evaluations_checked import State, check

# What the panel of claims shows, in this order; licence and task stand in their own rows.
_CLAIMS = (
    ("language", "Languages"),
    ("library_name", "Library"),
    ("datasets", "Datasets"),
    ("metrics", "Metrics"),
    ("tags", "Tags"),
)


def card_context(revision: Revision | None, user: Caller, *, writer: bool) -> dict[str, Any]:
    """Return text, results, lineage, claims and (for who may write) the checklist of a revision.

    The text is `""` where moderators stopped the file that it is in.
    """
    if revision is None:
        return {}
    metadata = revision.card_metadata
    found = evaluations.counted_files(revision)
    rows = check(revision, evaluations.results(revision, found.results))
    items = checklist(metadata, revision.card_body) if writer else []
    return {
        "files_in_all": found.in_all,
        "card_text": "" if found.card_stopped else revision.card_body,
        "evaluations": rows,
        "verified_count": sum(row.state == State.VERIFIED for row in rows),
        "unread_results": [file for file in found.results if file.error],
        "parents": lineage.parents(metadata, user),
        "children": lineage.children(revision.model, user),
        "relation": metadata.get("base_model_relation"),
        "claimed": [(word, metadata[key]) for key, word in _CLAIMS if metadata.get(key)],
        "missing": [item for item in items if not item.done],
        "item_count": len(items),
    }


def exports_context(release: Release, files: Iterable[RevisionFile]) -> dict[str, Any]:
    """Return the addresses of a release's exports and its two citations; `files` are its own."""
    return {"exports": exports.FORMATS, "citations": exports.citations(release, files)}
