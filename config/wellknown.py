"""What an auditor pins, and the public bytes that a replay needs, under fixed addresses.

- `/.well-known/assay/trusted_root.json`, `signing_config.json`: for stock Sigstore clients;
- `/.well-known/assay/witness-policy.txt`, `log.vkey`: C2SP's forms of the same trust;
- `/.well-known/assay/keys.json`, `runtimes`: the registered keys, the runtimes in use;
- `/runtimes/<digest>/<name>`: a file of a runtime; `/sha256/<hex>`: public content by digest.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable

from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseNotModified,
    JsonResponse,
)
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from assay.canonical import canonical_json
from assay.dsse import PublicKey
from assay.errors import UnavailableError
from config.api import FAULT, describe, json_problem
from inference import runtimes as installed
from ledger import services as ledger
from ledger.errors import LedgerError
from registry import selectors
from registry.choices import Visibility
from registry.errors import RegistryError
from registry.models import Key, Revision
from registry.views.sending import send

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"
FOREVER = "public, max-age=31536000, immutable"
MINUTE = "public, max-age=60"
_HEX = re.compile(r"[0-9a-f]{64}")


def _document(content_type: str, make: Callable[[], bytes]) -> Callable[..., HttpResponseBase]:
    """Return the view of a small document that seldom changes."""

    @require_safe
    def view(request: HttpRequest) -> HttpResponseBase:
        try:
            data = make()
        except LedgerError as error:
            return _problem(error)
        return HttpResponse(data, content_type=content_type, headers={"Cache-Control": MINUTE})

    return view


def _problem(error: Exception) -> JsonResponse:
    return json_problem(describe(error) or FAULT)


def _keys() -> bytes:
    return canonical_json({"keys": [_key(key) for key in selectors.published_keys()]})


def _key(key: Key) -> dict[str, object]:
    # To a reader a superseded key is one that was revoked there: the earlier of the two counts.
    end, ended = key.supersession or key.revocation, {}
    if end and end.index is not None:
        ended = {"revoked": end.index, "revokedLog": ledger.log_origin(end)}
    return {
        "fingerprint": key.fingerprint,
        "role": key.role,
        "owner": key.owner.name if key.owner else "",
        "publicKey": PublicKey(spki=bytes(key.spki)).pem,
        "log": ledger.log_origin(key.entry),
        "index": key.entry.index,
        **ended,
    }


def _vkey_line() -> bytes:
    return f"{ledger.log_vkey()}\n".encode()


trusted_root = _document(JSON, ledger.trusted_root)
signing_config = _document(JSON, ledger.signing_config)
witness_policy = _document(TEXT, ledger.witness_policy)
log_vkey = _document(TEXT, _vkey_line)
keys = _document(JSON, _keys)


# ------------------------------------------------------------------ runtimes


@require_safe
def runtimes(request: HttpRequest) -> HttpResponseBase:
    """Answer the runtimes of this installation, as execution statements name them."""
    try:
        found = installed.installed()
    except UnavailableError as error:
        return HttpResponse(f"{error}\n", status=503, content_type=TEXT)
    body = canonical_json({"runtimes": [one.runtime.to_dict() for one in found]})
    return HttpResponse(body, content_type=JSON, headers={"Cache-Control": MINUTE})


@require_safe
def runtime_file(request: HttpRequest, digest: str, name: str) -> HttpResponseBase:
    """Answer a file of the runtime `digest` (hex)."""
    try:
        found = installed.find(digest)
    except UnavailableError as error:
        return HttpResponse(f"{error}\n", status=503, content_type=TEXT)
    if found is None or name not in {file.name for file in found.runtime.files}:
        return HttpResponse("no such runtime file\n", status=404, content_type=TEXT)
    # What a stranger's page or program does with it is theirs; here it is bytes.
    response = FileResponse((found.folder / name).open("rb"), content_type=BYTES)
    response["Cache-Control"] = FOREVER
    return response


# ------------------------------------------------------------------ content


@require_safe
def blob(request: HttpRequest, sha256: str) -> HttpResponseBase:
    """Answer content that is public, by its hex SHA-256, to be saved and never shown.

    Also the manifest of a released revision, whose name is the digest of its RFC 8785 form.
    """
    manifest = _manifest(sha256)
    etag = f'"{sha256}"'
    if manifest is None:
        try:
            found = selectors.public_blob(sha256)
        except RegistryError as error:
            return _problem(error)
        return send(request, found, etag=etag, disposition="attachment", public=True)
    headers = {"ETag": etag, "Cache-Control": FOREVER}
    known = get_conditional_response(request, etag=etag)
    if known is not None and known.status_code == 304:
        return HttpResponseNotModified(headers=headers)
    headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return FileResponse(
        io.BytesIO(manifest),
        content_type="application/octet-stream",
        as_attachment=True,
        headers=headers,
    )


def _manifest(sha256: str) -> bytes | None:
    if _HEX.fullmatch(sha256) is None:
        return None
    released = Revision.objects.filter(
        manifest=sha256, model__visibility=Visibility.PUBLIC, release__isnull=False
    ).first()
    return canonical_json(selectors.manifest_of(released).to_list()) if released else None
