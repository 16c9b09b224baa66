"""What a model's pages say was found out about it: whether its bits repeat, and its replays."""

from __future__ import annotations

from typing import Any

from django import template

from inference.choices import ExecutorKind
from inference.models import DeterminismCheck
from inference.services.determinism import known_of
from registry.models import Revision

register = template.Library()


@register.inclusion_tag("inference/found.html")
def found(revision: Revision | None, *, signed: object = True) -> dict[str, Any]:
    """Say what was found about a released revision; nothing about a draft. One query."""
    if revision is None or not signed or not revision.graph_path:
        return {"shown": False}
    known = known_of(revision)
    checks = [_check(row) for row in known.checks]
    return {
        "shown": True,
        "random": _random_node(revision),
        "checks": checks,
        "differs": any(one["row"].equal is False for one in checks),
        "verdicts": known.verdicts,
    }


def _random_node(revision: Revision) -> str:
    """Return the place of the node that draws numbers without a seed, "" without one."""
    findings = revision.report.get("findings", ())
    return next((item["place"] for item in findings if item.get("code") == "random"), "")


def _check(row: DeterminismCheck) -> dict[str, Any]:
    return {
        "row": row,
        "portable": row.kind == ExecutorKind.PORTABLE,
        "processes": len(row.digests),
        "outputs": len({digest for one in row.digests for digest in one}),
    }
