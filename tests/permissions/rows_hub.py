"""`/hf`: hub clients. Whoever may not know of a model gets the answer of one that is not there."""

from __future__ import annotations

from typing import Any

from tests.hf.hub import header, lines, regular
from tests.permissions.scene import Scene
from tests.permissions.table import ADMIN, HIDDEN_ADMIN, HIDDEN_WRITE, READ, WRITE, both, each, row

A = "/hf/api/models/{m}"
LFS = "/hf/{m}.git/info/lfs/objects"
ACCOUNTS = "401 200 200 200 200 200 200 200"
MEMBERS = "401 200 200 200 403 403 200 200"
ALL = "GET POST PUT PATCH DELETE"
XET = "/hf/xet/00000000-0000-0000-0000-000000000000/1"
OPEN_WRITE = WRITE.replace("201", "200")
SECRET_WRITE = HIDDEN_WRITE.replace("201", "200")
NO_SPACE = "401 403 403 403 403 403 403 403"
COMMIT = lines([header(), regular("new.txt", b"new")])
OBJECT = {"oid": "ab" * 32, "size": 3}
BATCH = {"operation": "upload", "transfers": ["basic"], "objects": [OBJECT]}


def delete(scene: Scene, model: str) -> Any:
    return {"name": model, "organization": "acme"}


def move(scene: Scene, model: str) -> Any:
    return {"fromRepo": scene.places[model], "toRepo": f"dora/{model}", "type": "model"}


def stored(scene: Scene, model: str) -> Any:
    return {"oid": scene.places[f"{model}_blob"], "size": len(model)}


ROWS = [
    row("GET", "/hf/api/whoami-v2", ACCOUNTS),
    row(
        *("POST", "/hf/api/repos/create", "401 200 200 200 200 200 403 403"),
        {"name": "new", "organization": None},
    ),
    row(
        *("POST", "/hf/api/repos/create", OPEN_WRITE),
        {"name": "new", "organization": "acme"},
        note="for acme",
    ),
    # What was released stays, whoever asks; what was not may go.
    each(
        *("DELETE", "/hf/api/repos/delete", ADMIN.replace("200", "409"), "open", delete),
        note="the public model",
    ),
    each(
        *("DELETE", "/hf/api/repos/delete", HIDDEN_ADMIN.replace("200", "409"), "secret", delete),
        note="the private model",
    ),
    row(
        *("DELETE", "/hf/api/repos/delete", "401 403 403 200 403 403 403 200"),
        {"name": "elsewhere", "organization": "alice"},
        note="alice's own",
    ),
    each("POST", "/hf/api/repos/move", ADMIN, "open", move, note="the public model"),
    each("POST", "/hf/api/repos/move", HIDDEN_ADMIN, "secret", move, note="the private one"),
    row("POST", "/hf/api/validate-yaml", "200", {"content": "# A", "repoType": "model"}),
    row("GET", "/hf/api/settings/repositories", ACCOUNTS),
    row("GET", "/hf/api/organizations/acme/settings/repositories", MEMBERS),
    row("GET", "/hf/api/organizations/acme/overview", "200"),
    row("GET", "/hf/api/organizations/acme/members", MEMBERS),
    row("GET", "/hf/api/users/alice/overview", "200"),
    # ---------------------------------------------------------------- reading
    row("GET", "/hf/api/models", "200"),
    *both("GET", A, "200", READ),
    *both("GET", f"{A}/revision/main", "200", READ),
    *both("GET", f"{A}/auth-check", "200", READ),
    each("GET", f"{A}/auth-check", "403 200 200 200 403 403 200 403", "gated"),
    *both("GET", f"{A}/auth-check/write", OPEN_WRITE, "404 403 200 200 404 404 403 404"),
    *both("GET", f"{A}/refs", "200", READ),
    *both("GET", f"{A}/commits/main", "200", READ),
    *both("GET", f"{A}/tree/main", "200", READ),
    *both("POST", f"{A}/paths-info/main", "200", READ, {"paths": ["words.txt"]}),
    *both("GET", "/hf/{m}/resolve/main/words.txt", "200", READ),
    each("GET", "/hf/{m}/resolve/main/words.txt", "403 200 200 200 403 403 200 403", "gated"),
    *both("GET", "/hf/models/{m}", "302", READ.replace("200", "302")),
    row("GET", "/hf/acme", "302"),
    # ---------------------------------------------------------------- settings
    *both("PUT", f"{A}/settings", ADMIN, HIDDEN_ADMIN, {"visibility": "public"}),
    each("GET", f"{A}/user-access-request/pending", ADMIN, "gated"),
    each(
        *("POST", f"{A}/user-access-request/handle", ADMIN, "gated"),
        {"user": "dora", "status": "accepted"},
    ),
    each("POST", f"{A}/user-access-request/grant", ADMIN, "gated", {"user": "dora"}),
    # ---------------------------------------------------------------- writing
    *both("POST", f"{A}/tag/main", OPEN_WRITE, SECRET_WRITE, {"tag": "v1"}),
    *both("DELETE", f"{A}/tag/v0", OPEN_WRITE, SECRET_WRITE),
    *both("POST", f"{A}/branch/side", OPEN_WRITE, SECRET_WRITE, {}),
    *both("DELETE", f"{A}/branch/old", OPEN_WRITE, SECRET_WRITE),
    *both("GET", f"{A}/xet-write-token/main", OPEN_WRITE, SECRET_WRITE),
    *both(
        *("POST", f"{A}/preupload/main", OPEN_WRITE, SECRET_WRITE),
        {"files": [{"path": "a.txt", "size": 1, "sample": "YQ=="}]},
    ),
    *both("POST", f"{A}/commit/main", OPEN_WRITE, SECRET_WRITE, COMMIT),
    *both("POST", f"{LFS}/batch", OPEN_WRITE, SECRET_WRITE, BATCH),
    *both("POST", f"{LFS}/verify", OPEN_WRITE, SECRET_WRITE, stored),
    # The signed address, or the token of the space, is who calls: these are none.
    row("PUT", "/hf/lfs/whole?pass=none", "403", b"abc"),
    row("POST", "/hf/lfs/complete?pass=none", "403", {}),
    row("POST", f"{XET}/v1/xorbs/default/{'0' * 64}", NO_SPACE, b"abc"),
    row("POST", f"{XET}/v2/shards", NO_SPACE, b"abc"),
    row("POST", f"{XET}/v1/shards", NO_SPACE, b"abc"),
    # ---------------------------------------------------------------- not offered
    *both(ALL, f"{A}/discussions", "403", READ.replace("200", "403")),
    row(ALL, "/hf/api/models/lonely", "404"),
    row(ALL, "/hf/api/datasets/acme/open", "404"),
    row(ALL, "/hf/api/nothing/at/all", "404"),
]
