"""`/api/v1` of people: owners, members, transfers, tokens, keys, uploads, the audit log."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from assay.digests import sha256_hex
from tests import builders
from tests.permissions.scene import Scene
from tests.permissions.table import ADMIN, made, row
from tests.registry.calls import content_digest

API = "/api/v1"
ACCOUNTS = "401 200 200 200 200 200 200 200"
OWN = "401 404 404 200 404 404 200 200"  # alice's alone
OWN_WRITE = "401 404 404 200 404 404 403 200"
SELF = "401 404 404 200 404 404 403 403"  # not for a token that is narrowed down
KEY = "401 404 404 200 404 404 403 404"  # of who may change acme's keys
RAW = {"kind": "application/octet-stream"}
DIGEST = {"Content-Digest": content_digest(b"contents")}
BACKUP = {
    "wrapped": b64encode(b"w" * 154).decode(),
    "salt": b64encode(b"s" * 16).decode(),
    "iterations": 600_000,
    "iv": b64encode(b"i" * 12).decode(),
}


def register(scene: Scene) -> Any:
    private = builders.private_key("acme's second")
    return {"envelope": builders.key_envelope(private, "acme").to_dict(), "name": "second"}


def rotate(scene: Scene) -> Any:
    old, new = builders.private_key("acme"), builders.private_key("acme's next")
    said: dict[str, Any] = {"action": "supersede", "previous": scene.places["key"]}
    seen = builders.observed()
    both = [
        builders.key_envelope(new, "acme", signer=signer, observed=seen, **said)
        for signer in (new, old)
    ]
    return {
        "envelope": both[0].to_dict(),
        "previous": both[1].to_dict(),
        "name": "next",
    }


def revoke(scene: Scene) -> Any:
    private = builders.private_key("acme")
    envelope = builders.key_envelope(private, "acme", action="revoke")
    return {"envelope": envelope.to_dict(), "reason": "It was lost."}


ROWS = [
    # ---------------------------------------------------------------- uploads
    row(
        *("POST", f"{API}/uploads", "401 201 201 201 201 201 403 201"),
        {"size": 3, "sha256": sha256_hex(b"new")},
    ),
    row(
        *("POST", f"{API}/uploads", "401 403 201 201 403 403 403 403"),
        {"size": 3, "sha256": sha256_hex(b"new"), "model": "acme/open"},
        note="for acme's public model",
    ),
    row(
        *("POST", f"{API}/uploads", "401 403 201 201 404 404 403 404"),
        {"size": 3, "sha256": sha256_hex(b"new"), "model": "acme/secret"},
        note="for acme's private model",
    ),
    row("GET", f"{API}/uploads", ACCOUNTS),
    row("GET", f"{API}/uploads/{{upload}}", OWN),
    row("DELETE", f"{API}/uploads/{{upload}}", made(OWN_WRITE, 204)),
    row("PUT", f"{API}/uploads/{{upload}}/parts/0", OWN_WRITE, b"contents", headers=DIGEST, **RAW),
    row("PUT", f"{API}/uploads/{{upload}}/content", OWN_WRITE, b"contents", **RAW),
    row("POST", f"{API}/uploads/{{upload}}/addresses", made(OWN_WRITE, 409), {"parts": [0]}),
    row("POST", f"{API}/uploads/{{upload}}/complete", made(OWN_WRITE, 409), {}),
    # ---------------------------------------------------------------- owners
    row("GET", f"{API}/owners/acme/usage", "401 403 200 200 403 403 200 403"),
    row("GET", f"{API}/owners/acme", "200"),
    row("PATCH", f"{API}/owners/acme", ADMIN, {"title": "Acme Ltd"}),
    row("DELETE", f"{API}/owners/empty", made(ADMIN, 204), {"name": "empty"}),
    row("GET", f"{API}/owners/acme/members", "200"),
    row(
        *("POST", f"{API}/owners/acme/members", made(ADMIN, 201)),
        {"name": "dora", "role": "reader"},
    ),
    row("PATCH", f"{API}/owners/acme/members/rita", ADMIN, {"role": "writer"}),
    row("DELETE", f"{API}/owners/acme/members/rita", "401 204 403 204 403 403 403 403"),
    row("GET", f"{API}/organisations", ACCOUNTS),
    row(
        *("POST", f"{API}/organisations", "401 201 201 201 201 201 403 403"),
        {"name": "newhouse"},
    ),
    row("GET", f"{API}/invitations", ACCOUNTS),
    row("POST", f"{API}/owners/zoo/invitation", SELF),
    row("DELETE", f"{API}/owners/zoo/invitation", made(SELF, 204)),
    # ---------------------------------------------------------------- transfers
    row("GET", f"{API}/transfers", ACCOUNTS),
    row("POST", f"{API}/transfers/{{offered}}/accept", "401 404 404 200 404 404 403 404"),
    row("POST", f"{API}/transfers/{{offered}}/decline", "401 404 404 200 404 404 403 404"),
    row("POST", f"{API}/transfers/{{asked}}/cancel", "401 404 404 200 404 404 403 404"),
    # ---------------------------------------------------------------- one's own
    row("GET", f"{API}/account", ACCOUNTS),
    row(
        *("DELETE", f"{API}/account", "401 400 400 400 400 202 403 400"),
        {"name": "mallory"},
        note="mallory's",
    ),
    row(
        *("DELETE", f"{API}/account", "401 400 400 409 400 400 403 403"),
        {"name": "alice"},
        note="of the only admin of acme",
    ),
    row("GET", f"{API}/tokens", ACCOUNTS),
    row("POST", f"{API}/tokens", "401 201 201 201 201 201 403 403", {"name": "new"}),
    row("POST", f"{API}/tokens/revocation", "204", {"tokens": ["assay_nobodys"]}),
    row("DELETE", f"{API}/tokens/{{token}}", made(OWN_WRITE, 204)),
    row("GET", f"{API}/activity", "401 200 200 200 200 200 403 403"),
    row("GET", f"{API}/activity?owner=acme", "401 403 403 200 403 403 403 403"),
    row("GET", f"{API}/activity?model={{open}}", "401 403 403 200 403 403 403 403"),
    row("GET", f"{API}/activity?model={{secret}}", "401 403 403 200 404 404 403 404"),
    # ---------------------------------------------------------------- keys
    row("GET", f"{API}/keys", "200"),
    # A stranger's statement would name acme as the owner of a key of their own.
    row("POST", f"{API}/keys", "401 403 403 201 400 400 403 403", register),
    row("GET", f"{API}/keys/{{key}}", "200"),
    row("PATCH", f"{API}/keys/{{key}}", KEY, {"name": "desk"}),
    row("POST", f"{API}/keys/{{key}}/rotation", made(KEY, 201), rotate),
    row("POST", f"{API}/keys/{{key}}/revocation", KEY, revoke),
    row("GET", f"{API}/keys/{{own_key}}/backup", "401 404 404 200 404 404 404 404"),
    row("PUT", f"{API}/keys/{{own_key}}/backup", "401 404 404 200 404 404 403 404", BACKUP),
]
