"""`/api/v1/models/{owner}/{name}/differences`: from one revision to another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from registry.api.base import PublicView, caller, find_model
from registry.models import Revision
from registry.services import differences


class Differences(PublicView):
    """Say what changed: `?from=&to=`, each a version, an alias or a revision's id.

    `text=1` adds the unified diffs of small text files.
    """

    def get(self, request: Request, owner: str, name: str) -> Response:
        model = find_model(request, owner, name)
        asked, user = request.query_params, caller(request)
        old, new = (
            differences.find(model, asked.get(side, ""), side, user) for side in ("from", "to")
        )
        found = differences.compare(old, new)
        body = _difference(found)
        if asked.get("text") == "1":
            body["texts"] = [
                {"path": text.path, "diff": "\n".join(text.lines), "cut": text.cut}
                for text in differences.texts(found, user)
            ]
        return Response(body)


def _difference(found: differences.Difference) -> dict[str, Any]:
    files, graph = found.files, found.graph
    return {
        "from": _revision(found.old),
        "to": _revision(found.new),
        "same_content": found.same_content,
        "files": {
            "added": [_file(change) for change in files.added],
            "removed": [_file(change) for change in files.removed],
            "changed": [_file(change) for change in files.changed],
            "unchanged": files.unchanged,
        },
        "graph": None
        if graph is None
        else {
            "operators": _values(graph.operators),
            "inputs": _values(graph.inputs),
            "outputs": _values(graph.outputs),
            "opsets": _values(graph.opsets),
            "facts": _values(graph.facts),
        },
        "card": _values(found.card),
    }


def _revision(row: Revision) -> dict[str, Any]:
    release = getattr(row, "release", None)
    return {
        "revision": row.pk,
        "manifest": row.manifest,
        "version": release.version if release else None,
    }


def _file(change: differences.FileChange) -> dict[str, Any]:
    return {"path": change.path, "old": _state(change.old), "new": _state(change.new)}


def _state(state: differences.FileState | None) -> dict[str, Any] | None:
    return None if state is None else {"sha256": state.sha256, "size": state.size}


def _values(changes: Iterable[differences.ValueChange]) -> list[dict[str, Any]]:
    return [{"name": one.name, "old": one.old, "new": one.new} for one in changes]
