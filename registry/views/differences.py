"""The page that compares two revisions of a model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from registry import selectors
from registry.choices import Standing
from registry.errors import RegistryError
from registry.models import Model, Release, RevisionFile
from registry.services import differences
from registry.views.shown import shown

MAX_SHOWN = 200
MAX_CHOICES = 200
_KINDS = {" ": "", "-": "del", "+": "ins", "@": "hunk", "\\": "hunk"}
_FACT_WORDS = {
    "path": "Graph file",
    "parameters": "Parameters",
    "nodes": "Nodes",
    "initializers_bytes": "Bytes of weights",
    "functions": "Functions",
    "ir_version": "IR version",
    "producer": "Producer",
}


@require_safe
def compare(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Show what changed from `?from=` to `?to=`, each a version, an alias or a revision."""
    found = shown(request, owner, name)
    releases = selectors.releases(found.model).prefetch_related(None)
    versions = list(releases[:MAX_CHOICES])
    old, new = request.GET.get("from", ""), request.GET.get("to", "")
    if not old and not new and len(versions) > 1:
        old, new = versions[1].version, versions[0].version
    context: dict[str, Any] = {**found.context(), "versions": versions, "from": old, "to": new}
    if old or new:
        try:
            context |= _compared(request, found.model, old, new)
        except RegistryError as error:
            context["problem"] = error
    status = context["problem"].status if "problem" in context else 200
    return render(request, "registry/compare.html", context, status=status)


def _compared(request: HttpRequest, model: Model, old: str, new: str) -> dict[str, Any]:
    before = differences.find(model, old, "from", request.user)
    after = differences.find(model, new, "to", request.user)
    found = differences.compare(before, after)
    texts = [
        {"path": text.path, "cut": text.cut, "lines": _shown_lines(text.lines)}
        for text in differences.texts(found, request.user)
    ]
    return {"difference": shown_difference(found), "texts": texts}


def since_previous(
    release: Release, previous: Release | None, files: Iterable[RevisionFile]
) -> dict[str, Any] | None:
    """Return the difference from the release before, for a release's page; None for the first.

    What was in a release that moderators took down is not told by the one after it.

    `files` are those of both.
    """
    if previous is None or previous.standing == Standing.TAKEN_DOWN:
        return None
    found = differences.compare(previous.revision, release.revision, files)
    return {**shown_difference(found), "previous": previous}


def shown_difference(found: differences.Difference) -> dict[str, Any]:
    """Return a difference as its template reads it; long lists are cut."""
    files, graph = found.files, found.graph
    rows = [
        *(("added", change) for change in files.added),
        *(("removed", change) for change in files.removed),
        *(("changed", change) for change in files.changed),
    ]
    rows.sort(key=lambda row: row[1].path)
    return {
        "old": found.old,
        "new": found.new,
        "same": found.same_content,
        "files": rows[:MAX_SHOWN],
        "more_files": len(rows) - MAX_SHOWN if len(rows) > MAX_SHOWN else 0,
        "unchanged": files.unchanged,
        "has_graphs": graph is not None,
        "ports": _ports(graph) if graph else [],
        "operators": [] if graph is None else graph.operators[:MAX_SHOWN],
        "facts": _facts(graph) if graph else [],
        "card": found.card[:MAX_SHOWN],
    }


def _ports(graph: differences.Graph) -> list[dict[str, Any]]:
    return [
        {"way": way, "name": change.name, "old": change.old, "new": change.new}
        for way, changes in (("in", graph.inputs), ("out", graph.outputs))
        for change in changes
    ]


def _facts(graph: differences.Graph) -> list[dict[str, Any]]:
    named = [(_FACT_WORDS[change.name], change) for change in graph.facts]
    named += [(f"Opset {change.name}", change) for change in graph.opsets]
    return [{"word": word, "old": change.old, "new": change.new} for word, change in named]


def _shown_lines(lines: Iterable[str]) -> list[dict[str, str]]:
    """Return the lines of a diff, of which the first two are its head."""
    return [
        {"kind": "hunk" if number < 2 else _KINDS[line[0]], "text": _visible(line)}
        for number, line in enumerate(lines)
    ]


def _visible(text: str) -> str:
    """Return `text` with what a reader could not see in it spelled out."""
    return "".join(
        char if char.isprintable() or char == "\t" else char.encode("unicode_escape").decode()
        for char in text
    )
