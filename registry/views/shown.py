"""What every page of a model needs: the model, what is shown of it, and the facts beside."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils.safestring import SafeString, mark_safe

from ledger import services as ledger
from registry import selectors
from registry.choices import Standing
from registry.models import AliasMove, Claim, Model, Release, Revision
from registry.rights import may_write
from registry.services import cards

_SCROLLED = '<div class="scrolled" tabindex="0" role="group" aria-label="Table"><table>'
_HEADING = re.compile(r"(</?h)([1-5])(?=[ >])")
_NOTHING: dict[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A model, its newest release, and the revision whose content the page shows (or None).

    `older` is its newest release where every one was withdrawn or stopped by moderators; `release`
    is then None.
    """

    model: Model
    release: Release | None
    revision: Revision | None
    may_publish: bool
    older: Release | None = None

    @property
    def withdrawn(self) -> Release | None:
        """The newest release where its publisher withdrew it, and no other one stands."""
        return self.older if self.older is not None and not self.older.standing else None

    @property
    def stopped(self) -> Release | None:
        """The newest release where moderators stopped it, and no other one stands."""
        return self.older if self.older is not None and self.older.standing else None

    @property
    def _was_signed(self) -> bool:
        """Whether the revision was signed, in a version that is withdrawn."""
        if self.withdrawn is None or self.revision is None:
            return False
        return self.withdrawn.revision_id == self.revision.pk

    def context(self) -> dict[str, Any]:
        """Return what `registry/model_base.html` and the sidebar read."""
        return {
            "model": self.model,
            "release": self.release,
            "withdrawn": self.withdrawn,
            "stopped": self.stopped,
            "was_signed": self._was_signed,
            "revision": self.revision,
            "may_publish": self.may_publish,
            "publish_url": f"/publish/{self.model.full_name}/",
            **(revision_context(self.revision) if self.revision else _NOTHING),
        }


def shown(request: HttpRequest, owner: str, name: str, revision: str = "") -> Shown:
    """Return what to show: the asked revision, else the newest release's, else the head.

    Raises:
        UnknownModelError, UnknownRevisionError: none that the reader may know of.
        TakenDownError: moderators took down the model, or the asked revision.
    """
    reading = request.method in ("GET", "HEAD")
    model = selectors.find_model(f"{owner}/{name}", request.user, reading=reading)
    # With the statement of the release alone: only its own page asks for the other claims.
    releases = selectors.releases_with_statement(model)
    release = releases.filter(selectors.STANDS).first()
    older = None if release else releases.first()
    found = release.revision if release else None
    writer = may_write(request.user, model)
    if revision:
        found = selectors.find_revision(model, revision, request.user)
    elif found is None and model.head is not None:
        # What did not pass its inspection is the owner's business.
        found = model.head if writer or model.head.state in selectors.INSPECTED else None
        found = None if older and _is_down(older, found) else found
    if found is not None:
        found.model = model
    return Shown(model=model, release=release, revision=found, may_publish=writer, older=older)


def _is_down(older: Release, revision: Revision | None) -> bool:
    """Tell whether moderators took down the release of `revision`; `older` is of its model."""
    if older.revision_id == getattr(revision, "pk", None):
        return older.standing == Standing.TAKEN_DOWN
    down = Release.objects.filter(revision=revision, standing=Standing.TAKEN_DOWN)
    return revision is not None and down.exists()


def card_html(body: str) -> SafeString:
    """Return a card's Markdown as HTML, one level below the page's own heading.

    Wide tables scroll by keyboard too.
    """
    # `render` returns what the sanitiser let through, where a table is spelled in one way.
    html = cards.render(body).replace("<table>", _SCROLLED).replace("</table>", "</table></div>")
    html = _HEADING.sub(lambda found: f"{found[1]}{int(found[2]) + 1}", html)
    return mark_safe(html)  # noqa: S308 (sanitised above)


def revision_context(revision: Revision) -> dict[str, Any]:
    """Return facts and report of a revision in the order in which pages show them."""
    facts = selectors.facts(revision)
    operators = facts.get("operators", {})
    return {
        "metadata": revision.card_metadata,
        "facts": facts,
        "opsets": list(facts.get("opsets", {}).items()),
        "operators": sorted(operators.items(), key=lambda item: (-item[1], item[0])),
        "node_count": facts.get("nodes", 0),
        "graph_facts": _graph_facts(facts),
        "report": revision.report,
        "trial": _trial(revision.report.get("trial")),
    }


def _graph_facts(facts: dict[str, Any]) -> list[tuple[str, Any]]:
    if not facts:
        return []
    found = [
        ("IR version", facts.get("ir_version")),
        *((f"Opset {domain}", version) for domain, version in facts.get("opsets", {}).items()),
        ("Producer", facts.get("producer") or "not named"),
        ("Nodes", f"{facts.get('nodes', 0):,}"),
        ("Parameters", f"{facts.get('parameters', 0):,}"),
        ("Functions", facts.get("functions") or None),
        ("External data", ", ".join(facts.get("external", ())) or None),
    ]
    return [(word, value) for word, value in found if value is not None]


def _trial(trial: dict[str, Any] | None) -> str:
    """Return what the trial run said, in words; a failure is among the findings already."""
    if not isinstance(trial, dict) or not trial.get("ok"):
        return ""
    load, run = trial.get("load_ms"), trial.get("run_ms")
    return f"Tried once on zeros: loaded in {load} ms, ran in {run} ms."


def _of_frozen(entry: Any) -> ledger.EntryStatus | None:
    """Return where an entry of a frozen log stands.

    None for one of the current log: its head is on the page anyway, and says enough.
    """
    return None if ledger.is_current(entry) else ledger.entry_status(entry.pk)


def alias_evidence(move: AliasMove) -> dict[str, Any]:
    """Return what the evidence panel of an alias reads: that of its newest move."""
    model = move.alias.model.full_name
    at = f"/models/{model}/aliases/{move.alias.name}/"
    return {
        "move_entry": move.entry,
        "move_status": _of_frozen(move.entry),
        "alias_url": at,
        "files_url": f"/models/{model}/files/?revision={move.release.revision_id}#lines",
    }


def evidence_context(release: Release, statement: Claim, files: int) -> dict[str, Any]:
    """Return what the evidence panel of a release reads; its manifest has `files` files."""
    base = f"/models/{release.model.full_name}"
    return {
        "signed": release,
        "release_entry": statement.entry,
        "release_status": _of_frozen(statement.entry),
        "file_count": files,
        "files_url": f"{base}/files/?revision={release.revision_id}#lines",
        "release_url": f"{base}/releases/{release.version}/",
    }
