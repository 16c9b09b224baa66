"""`/api/v1/models`: everybody reads what is public; strangers learn nothing of what is private."""

from __future__ import annotations

from typing import Any

from tests import builders
from tests.permissions.scene import Scene
from tests.permissions.table import (
    ADMIN,
    DRAFT,
    HIDDEN_ADMIN,
    HIDDEN_WRITE,
    READ,
    WRITE,
    both,
    each,
    made,
    row,
)

M = "/api/v1/models/{m}"
REVISION = f"{M}/revisions/{{m_release}}"
FAILED = f"{M}/revisions/{{m_failed}}"
RELEASE = f"{M}/releases/1.0.0"
ALIAS = f"{M}/aliases/production"
WORKFLOW = {"repository": "acme/other", "workflow": "release.yml"}


def commit(scene: Scene, model: str) -> Any:
    files = [{"path": "words.txt", "sha256": scene.places[f"{model}_blob"]}]
    return {"files": files, "parent": scene.drafts[model].pk, "message": "less"}


def release(scene: Scene, model: str) -> Any:
    draft, private = scene.drafts[model], builders.private_key("acme")
    claims = builders.make_claims(draft, private, "2.0.0")
    return {
        "revision": draft.pk,
        "version": "2.0.0",
        "claims": {str(kind): envelope.to_dict() for kind, envelope in claims.items()},
        "key": scene.places["key"],
    }


def move(scene: Scene, model: str) -> Any:
    private = builders.private_key("acme")
    envelope = builders.alias_envelope(scene.releases[model], private, "staging")
    return {"envelope": envelope.to_dict(), "key": scene.places["key"]}


def edit(scene: Scene, model: str) -> Any:
    return {"parent": scene.drafts[model].pk, "fields": {"license": "apache-2.0"}}


def name_again(scene: Scene, model: str) -> Any:
    return {"name": scene.places[model]}


ROWS = [
    row("GET", "/api/v1/models", "200"),
    row("POST", "/api/v1/models", "401 201 201 201 201 201 403 403", {"name": "new"}),
    row(
        *("POST", "/api/v1/models", "401 403 201 201 403 403 403 403"),
        {"owner": "acme", "name": "new"},
        note="for acme",
    ),
    *both("GET", M, "200", READ),
    # What was released stays, whoever asks; what was not may go.
    *both("DELETE", M, made(ADMIN, 409), made(HIDDEN_ADMIN, 409), name_again),
    row(
        *("DELETE", "/api/v1/models/alice/elsewhere", "401 403 403 204 403 403 403 204"),
        {"name": "alice/elsewhere"},
    ),
    *both("GET", f"{M}/visibility", ADMIN, HIDDEN_ADMIN),
    *both("PUT", f"{M}/visibility", ADMIN, HIDDEN_ADMIN, {"visibility": "gated"}),
    # ---------------------------------------------------------------- access
    *both("GET", f"{M}/access", ADMIN, HIDDEN_ADMIN),
    each("GET", f"{M}/access/mine", "401 404 404 404 404 404 404 404", "gated"),
    each("PUT", f"{M}/access/mine", "401 409 409 409 200 200 403 409", "gated", {"reason": "why"}),
    each("PUT", f"{M}/access/mine", "401 409 409 409 404 404 403 404", "secret", {"reason": "why"}),
    each("DELETE", f"{M}/access/mine", "401 404 404 404 404 404 403 404", "gated"),
    each("PUT", f"{M}/access/requests/dora", ADMIN, "gated", {"state": "approved"}),
    *both(*("POST", f"{M}/transfers", made(ADMIN, 201), made(HIDDEN_ADMIN, 201)), {"to": "dora"}),
    *both("GET", f"{M}/transfers", ADMIN, HIDDEN_ADMIN),
    # ---------------------------------------------------------------- revisions
    *both("GET", f"{M}/revisions", "200", READ),
    *both("POST", f"{M}/revisions", WRITE, HIDDEN_WRITE, commit),
    *both("GET", REVISION, "200", READ),
    *both("GET", FAILED, DRAFT, DRAFT),
    *both("GET", f"{REVISION}/inspection", "200", READ),
    *both("GET", f"{FAILED}/inspection", DRAFT, DRAFT),
    each("GET", f"{FAILED}/appeal", DRAFT, "gated"),
    *both(
        *("POST", f"{FAILED}/appeal"),
        "401 404 201 201 404 404 403 404",
        "401 404 201 201 404 404 403 404",
        {"text": "Please look again."},
    ),
    *both("GET", f"{REVISION}/signing", "200", READ),
    *both("GET", f"{REVISION}/evaluations", "200", READ),
    # ---------------------------------------------------------------- releases
    *both("GET", f"{M}/releases", "200", READ),
    *both("POST", f"{M}/releases", made(ADMIN, 201), made(HIDDEN_ADMIN, 201), release),
    *both("GET", RELEASE, "200", READ),
    *both("POST", f"{RELEASE}/yank", ADMIN, HIDDEN_ADMIN, {"reason": "It is wrong."}),
    *both("GET", f"{RELEASE}/model.sig", "200", READ),
    *both("GET", f"{RELEASE}/exports", "200", READ),
    *both("GET", f"{RELEASE}/exports/bom.cdx.json", "200", READ),
    # ---------------------------------------------------------------- card
    *both("GET", f"{M}/card", "200", READ),
    *both("PATCH", f"{M}/card", made(WRITE, 200), made(HIDDEN_WRITE, 200), edit),
    *both("GET", f"{M}/lineage", "200", READ),
    row("POST", "/api/v1/cards/check", "401 200 200 200 200 200 403 200", {"content": "# A"}),
    # ---------------------------------------------------------------- aliases
    *both("GET", f"{M}/aliases", "200", READ),
    *both("GET", ALIAS, "200", READ),
    *both("GET", f"{ALIAS}/moves", "200", READ),
    *both("GET", f"{ALIAS}/moves/1", "200", READ),
    *both(*("POST", f"{M}/aliases/staging/moves", made(ADMIN, 201), made(HIDDEN_ADMIN, 201)), move),
    *both(
        *("GET", f"{M}/aliases/staging/signing?version=1.0.0", "200", READ),
    ),
    *both("GET", f"{ALIAS}/protection", "200", READ),
    *both("PUT", f"{ALIAS}/protection", ADMIN, HIDDEN_ADMIN, {"protected": True}),
    # ---------------------------------------------------------------- what is known beside it
    *both("GET", f"{M}/differences?from={{m_release}}&to={{m_draft}}", "200", READ),
    *both("GET", f"{M}/signers", "200", READ),
    *both("GET", f"{M}/trusted", ADMIN, HIDDEN_ADMIN),
    *both("POST", f"{M}/trusted", made(ADMIN, 201), made(HIDDEN_ADMIN, 201), WORKFLOW),
    *both("DELETE", f"{M}/trusted/{{m_publisher}}", made(ADMIN, 204), made(HIDDEN_ADMIN, 204)),
    row(
        *("POST", "/api/v1/trusted/token", "401"),
        {"model": "acme/open", "token": "a.b.c"},
        note="the ID token is who calls, and this is none",
    ),
]
