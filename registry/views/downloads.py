"""Bytes to take away: files of a revision, a release's bundles, a key.

A publisher's file is a stranger's data: it is answered as an attachment of no particular type,
never sniffed, in a sandbox, so that no browser runs it under this origin.
"""

from __future__ import annotations

from urllib.parse import quote

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from assay.bundle import MEDIA_TYPE
from assay.dsse import PublicKey
from ledger import services as ledger
from registry import selectors
from registry.choices import ClaimKind, Visibility
from registry.hf.calls import address
from registry.paths import CARD
from registry.rights import need_files
from registry.services import counters
from registry.views.sending import send

_BUNDLES = {
    "model.sig": ClaimKind.MODEL_SIGNATURE,
    "card.sigstore.json": ClaimKind.CARD,
    "release.sigstore.json": ClaimKind.RELEASE,
}


@require_safe
def file(request: HttpRequest, owner: str, name: str, revision: str, path: str) -> HttpResponseBase:
    """Answer a file of a revision, whole or the one range that was asked for (RFC 9110, 14)."""
    model = selectors.find_model(f"{owner}/{name}", request.user)
    need_files(request.user, model)
    whole = selectors.find_revision(model, revision, request.user)
    found = selectors.file_of(whole, path)
    base = found.path.rpartition("/")[2]
    # What has not passed its inspection is its owner's alone: no shared cache may keep it.
    response = send(
        request,
        found.blob,
        etag=f'"{found.blob_id}"',
        disposition=f"attachment; filename*=UTF-8''{quote(base)}",
        public=model.visibility == Visibility.PUBLIC and whole.state in selectors.INSPECTED,
    )
    if request.method == "GET" and response.status_code in (200, 206, 302) and base != CARD:
        counters.downloaded(whole.pk, address(request))
    return response


@require_safe
def bundle(request: HttpRequest, owner: str, name: str, version: str, bundle: str) -> HttpResponse:
    """Answer a claim of a release as a Sigstore bundle with its proof of inclusion."""
    kind = _BUNDLES.get(bundle)
    if kind is None:
        raise Http404(bundle)
    model = selectors.find_model(f"{owner}/{name}", request.user)
    release = selectors.find_version(model, version, user=request.user)
    response = HttpResponse(
        ledger.receipt(release.claims.get(kind=kind).entry_id), content_type=MEDIA_TYPE
    )
    response["Content-Disposition"] = f'attachment; filename="{bundle}"'
    return response


@require_safe
def key_pem(request: HttpRequest, fingerprint: str) -> HttpResponse:
    """Answer a public key in PEM."""
    key = PublicKey(spki=bytes(selectors.find_key(fingerprint).spki))
    return HttpResponse(key.pem, content_type="application/x-pem-file")
