"""What the inspection said of a revision: kept with it, and taken over by the next where it fits.

Commit point: the transaction that writes report and state. The first report stands; one that comes
twice changes nothing. A crash before it leaves the revision waiting, and it is inspected again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from registry import selectors
from registry.choices import RevisionState
from registry.errors import InvalidInputError, UnknownRevisionError
from registry.kinds import Kind
from registry.models import Blob, Model, Revision
from registry.services import audit

GRAPH_NAMES = ("model.onnx", "onnx/model.onnx")
MAX_GRAPHS = 16
Report = dict[str, Any]


def main_graph(names: Iterable[str]) -> str:
    """Return the path of the graph that runs: `model.onnx`, else the first of the outermost ones.

    `""` when there is none: such a revision can be released and not run.
    """
    graphs = graphs_of(names)
    return graphs[0] if graphs else ""


def graphs_of(names: Iterable[str]) -> list[str]:
    """Return the paths of all graphs, the one that runs first; all of them are inspected.

    Beyond `MAX_GRAPHS` they are flagged instead.
    """
    found = [name for name in names if name.lower().endswith(".onnx")]

    def order(name: str) -> tuple[int, int, str]:
        usual = GRAPH_NAMES.index(name) if name in GRAPH_NAMES else len(GRAPH_NAMES)
        return (usual, name.count("/"), name)

    return sorted(found, key=order)


def _flag(code: str, place: str, remedy: str, level: str = "flag") -> dict[str, str]:
    return {"code": code, "place": place, "remedy": remedy, "level": level}


NO_GRAPH: Report = {
    "verdict": RevisionState.FLAGGED.value,
    "findings": [_flag("no_graph", "", "add an ONNX file, if the model is to be run here")],
    "facts": None,
    "trial": None,
}
_FROM_NAMES = ("other_graph", "unnamed_data")


# ------------------------------------------------------------------ taken over


def earlier_report(model: Model, files: Mapping[str, Blob]) -> Report | None:
    """Return the report of an earlier revision with the same graphs and their data, or None."""
    graphs = graphs_of(files)
    if not graphs:
        return with_names(NO_GRAPH, files)
    main = graphs[0]
    rows = Revision.objects.filter(
        model=model,
        state__in=selectors.INSPECTED,
        graph_path=main,
        files__path=main,
        files__blob=files[main],
    )
    for revision in rows.order_by("-created_at")[:5]:
        held = dict(revision.files.values_list("path", "blob_id"))
        looked_at = {*revision.report.get("graphs", (main,)), main}
        if looked_at.issuperset(graphs[:MAX_GRAPHS]):
            wanted = {*graphs[:MAX_GRAPHS], *_data_of(revision.report)}
            if all(name in files and held.get(name) == files[name].sha256 for name in wanted):
                return with_names(revision.report, files)
    return None


def _data_of(report: Mapping[str, Any]) -> list[str]:
    """Return the files that the graphs of a report name as their data."""
    facts = report.get("facts") or {}
    return [*facts.get("external", ()), *report.get("external", ())]


def inspected(report: Report | None) -> dict[str, Any]:
    """Return the columns of a revision with this report; None: it waits."""
    if report is None:
        return {"state": RevisionState.PENDING}
    return {"state": report["verdict"], "report": report, "inspected_at": timezone.now()}


# ------------------------------------------------------------------ recorded


def record_inspection(revision_id: str, report: Mapping[str, Any]) -> Revision:
    """Write what the inspection said: `{"verdict", "findings", "facts", "trial"}`.

    The first report stands: one that comes for an inspected revision changes nothing.

    Raises:
        UnknownRevisionError: there is no such revision.
        InvalidInputError: the verdict is none of passed, flagged, failed.
    """
    final = (*selectors.INSPECTED, RevisionState.FAILED)
    if report.get("verdict") not in final:
        raise InvalidInputError("A verdict is passed, flagged or failed.", field="verdict")
    with transaction.atomic():
        revision = Revision.objects.select_for_update().filter(pk=revision_id).first()
        if revision is None:
            raise UnknownRevisionError("There is no such revision.", revision=revision_id)
        if revision.state != RevisionState.PENDING:
            return revision
        files = {row.path: row.blob for row in selectors.files(revision)}
        whole = with_names(report, files)
        revision.report, revision.state = whole, whole["verdict"]
        revision.inspected_at = timezone.now()
        revision.save(update_fields=("report", "state", "inspected_at"))
        audit.note(None, "revision.inspect", revision.pk, verdict=str(revision.state))
    return revision


def with_names(report: Mapping[str, Any], files: Mapping[str, Blob]) -> Report:
    """Return `report` with what follows from which files there are.

    Graphs that nobody has looked into are flagged; data that no graph names, such as a tokenizer's,
    is noted.
    """
    graphs, inside = graphs_of(files), dict(report.get("graphs", {}))
    gone = tuple(f"{name}: " for name in inside if name not in files)
    kept = [
        item
        for item in report.get("findings", ())
        if item.get("code") not in _FROM_NAMES and not str(item.get("place")).startswith(gone)
    ]
    looked_at = {*graphs[:1], *inside}
    found = [
        _flag(
            "other_graph",
            name,
            f"only {', '.join(sorted(looked_at))} was inspected: make this one a model of its own",
        )
        for name in sorted(set(graphs) - looked_at)
    ]
    named = set(_data_of(report))
    found += [
        _flag("unnamed_data", path, "no graph names this data: nobody looked into it", "note")
        for path, blob in sorted(files.items())
        if blob.kind == Kind.DATA
        and path not in named
        and path not in graphs
        and report.get("facts") is not None
    ]
    findings = [*kept, *found]
    levels = {item.get("level") for item in findings}
    verdict = report["verdict"]
    if verdict != RevisionState.FAILED and "flag" in levels:
        verdict = RevisionState.FLAGGED
    elif verdict == RevisionState.FLAGGED and len(kept) < len(report.get("findings", ())):
        verdict = RevisionState.PASSED  # taken over, and the other graph is gone
    return {**report, "verdict": str(verdict), "findings": findings}
