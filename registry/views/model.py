"""The pages of one model: card, files, graph, API, releases. Run and executions are inference's."""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings
from django.db.models import Prefetch, prefetch_related_objects
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from assay.manifest import Manifest
from registry import moves, selectors
from registry.choices import Action, ClaimKind
from registry.models import Claim
from registry.rights import can
from registry.views import lines
from registry.views.card_parts import card_context, exports_context
from registry.views.differences import since_previous
from registry.views.shown import card_html, evidence_context, shown

MAX_FILES = 500
_BINDS = {
    ClaimKind.MODEL_SIGNATURE: "every file's path and digest, in the form of OpenSSF Model Signing",
    ClaimKind.CARD: "README.md and the metadata that the publisher was shown",
    ClaimKind.RELEASE: "version, revision, manifest, card, licence, and the release before",
}


@require_safe
def short(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Lead `/<owner>/<name>/` to the model's page."""
    model = selectors.find_model(f"{owner}/{name}", request.user)
    return redirect(f"/models/{model.full_name}/")


@require_safe
def card(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Show the card of the newest release."""
    found = shown(request, owner, name)
    parts = card_context(found.revision, request.user, writer=found.may_publish)
    context = {**found.context(), **parts, "card_html": card_html(parts.get("card_text", ""))}
    if found.release:
        statement: Claim = found.release.statement  # type: ignore[attr-defined]  # an annotation
        context |= evidence_context(found.release, statement, context["files_in_all"])
    return render(request, "registry/model.html", context)


@require_safe
def files(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """List the files of a revision with the lines that fetch and check them."""
    found = shown(request, owner, name, request.GET.get("revision", ""))
    rows = list(selectors.files(found.revision)[: MAX_FILES + 1]) if found.revision else []
    context = {
        **found.context(),
        "files": rows[:MAX_FILES],
        "more_files": len(rows) > MAX_FILES,
        "sums": lines.sum_lines(rows[:MAX_FILES]),
    }
    if found.revision:
        context["curl"] = lines.curl_lines(settings.SITE_URL, found.revision, rows[:MAX_FILES])
    return render(request, "registry/files.html", context)


@require_safe
def graph(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Show what the inspection read from the graph."""
    found = shown(request, owner, name, request.GET.get("revision", ""))
    return render(request, "registry/graph.html", found.context())


@require_safe
def api(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Show how a program calls the newest release."""
    found = shown(request, owner, name)
    context = found.context()
    if found.release:
        facts = selectors.facts(found.release.revision)
        context["snippets"] = lines.snippets(settings.SITE_URL, found.model, found.release, facts)
    return render(request, "registry/api.html", context)


@require_safe
def releases(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """List the releases, newest first; `?before=<number>` is the keyset."""
    found = shown(request, owner, name)
    rows = selectors.releases(found.model)
    before = request.GET.get("before", "")
    if before.isdecimal() and len(before) < 10:
        rows = rows.filter(number__lt=int(before))
    page = list(rows[: selectors.PAGE + 1])
    more = len(page) > selectors.PAGE
    context = {
        **found.context(),
        "releases": page[: selectors.PAGE],
        "aliases": [] if before else list(moves.newest_moves(found.model)),
        "may_move": can(request.user, Action.ALIAS, found.model),
        "first_url": "?" if before else "",
        "next_url": f"?before={page[selectors.PAGE - 1].number}" if more else "",
    }
    return render(request, "registry/releases.html", context)


@require_safe
def release(request: HttpRequest, owner: str, name: str, version: str) -> HttpResponse:
    """Show one release: its digests, its three signatures, and how to check them elsewhere."""
    found = shown(request, owner, name)
    wanted = found.release
    if wanted is None or wanted.version != version:
        wanted = selectors.find_version(found.model, version, user=request.user)
    if wanted.version != version:  # an alias moves on: the address of the version stays
        return redirect("model-release", owner, name, wanted.version)
    prefetch_related_objects([wanted], Prefetch("claims", Claim.objects.select_related("entry")))
    claims = wanted.claims.all()
    statement = next(claim for claim in claims if claim.kind == ClaimKind.RELEASE)
    previous = selectors.release_before(wanted)
    both = [wanted.revision, *([previous.revision] if previous else ())]
    files = list(selectors.files_of(both))
    own = [file for file in files if file.revision_id == wanted.revision_id]
    manifest = Manifest.from_pairs((file.path, file.blob_id) for file in own)
    context = {
        **found.context(),
        **evidence_context(wanted, statement, len(manifest.resources)),
        "shown": wanted,
        "notes_html": card_html(wanted.notes),
        "claims": _claims(claims),
        "aliases": wanted.aliases.order_by("name"),
        "difference": since_previous(wanted, previous, files),
        "may_release": can(request.user, Action.RELEASE, found.model),
        "may_move": can(request.user, Action.ALIAS, found.model),
        "subject_digest": manifest.subject_digest,
        "model_sig_url": f"/models/{found.model.full_name}/releases/{wanted.version}/model.sig",
        "cli": lines.release_lines(settings.SITE_URL, wanted),
        **exports_context(wanted, own),
    }
    return render(request, "registry/release.html", context)


def _claims(claims: Iterable[Claim]) -> list[dict[str, object]]:
    order = list(_BINDS)
    return [
        {"word": claim.get_kind_display(), "binds": _BINDS[kind], "entry": claim.entry}
        for kind, claim in sorted(
            ((ClaimKind(claim.kind), claim) for claim in claims),
            key=lambda pair: order.index(pair[0]),
        )
    ]
