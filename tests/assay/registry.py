"""A registry as `assay push` meets it over the network: it keeps state, and it can misbehave.

The real one is driven by `tests/registry/test_push.py`; this one shows what the command does when
answers are lost, late, or lies.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from assay.manifest import Manifest

PART = 4
OBSERVED = {"origin": "ledger.example.org", "treeSize": 3, "rootHash": "ab" * 32}
NOT_FOUND = {"error": {"code": "unknown_model", "message": "There is none.", "detail": {}}}
Answer = tuple[int, Any]
Call = Callable[[str, str, bytes], Answer | None]


@dataclass
class Registry:
    """`before` may answer in place of the registry; `cut` answers are lost after the work."""

    url: str = ""
    models: dict[str, str | None] = field(default_factory=dict)
    revisions: dict[str, dict[str, Any]] = field(default_factory=dict)
    releases: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, dict[str, Any]] = field(default_factory=dict)
    states: list[str] = field(default_factory=list)
    joins: list[str] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    before: Call = lambda method, path, body: None
    cut: set[tuple[str, str]] = field(default_factory=set)
    proposal: dict[str, Any] = field(default_factory=dict)

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        self.calls.append((method, path))
        special = self.before(method, path, body)
        if special is not None:
            return special
        parts = path.removeprefix("/api/v1/").split("/")
        value = json.loads(body) if body and method == "POST" else {}
        match method, parts:
            case "GET", ["ledger", "head"]:
                head = {"origin": OBSERVED["origin"], "size": 3, "root": OBSERVED["rootHash"]}
                return 200, head
            case _, ["uploads", *rest]:
                return self._upload(method, rest, value, body)
            case _, ["keys", *rest]:
                return self._keys(method, rest, value)
            case "POST", ["models"]:
                self.models[f"{value['owner']}/{value['name']}"] = None
                return 201, value
            case "POST", ["trusted", "token"]:
                return 201, {"token": f"for-{value['model']}-{value['token']}"}
            case _, ["models", owner, name, *rest]:
                return self._model(method, f"{owner}/{name}", rest, value)
        return 404, NOT_FOUND

    def _upload(self, method: str, rest: list[str], value: Any, body: bytes) -> Answer:
        if not rest:
            digest = value["sha256"]
            if digest in self.stored:
                return 200, {"state": "stored", "sha256": digest}
            count = -(-value["size"] // PART)
            made = self.uploads.setdefault(
                digest, {"id": digest, "count": count, "parts": {}, "state": "open", "error": ""}
            )
            return 201, self._shape(made)
        upload = self.uploads[rest[0]]
        if method == "PUT":
            upload["parts"][int(rest[2])] = body
            return 200, {"received": True}
        if method == "POST":
            data = b"".join(upload["parts"][number] for number in range(upload["count"]))
            good = hashlib.sha256(data).hexdigest() == rest[0]
            upload["state"] = "stored" if good else "failed"
            upload["error"] = "" if good else "other bytes"
            if good:
                self.stored[rest[0]] = data
        return 202, {**self._shape(upload), **({"state": self.joins.pop(0)} if self.joins else {})}

    def _shape(self, upload: dict[str, Any]) -> dict[str, Any]:
        missing = [n for n in range(upload["count"]) if n not in upload["parts"]]
        return {**upload, "parts": upload["count"], "part_size": PART, "missing": missing}

    def _keys(self, method: str, rest: list[str], value: Any) -> Answer:
        if method == "GET":
            known = self.keys.get(rest[0])
            return (404, NOT_FOUND) if known is None else (200, known)
        payload = value["envelope"]["payload"]
        statement = json.loads(base64.b64decode(payload))
        fingerprint = statement["subject"][0]["digest"]["sha256"]
        predicate = statement["predicate"]
        if predicate["action"] == "revoke":
            self.keys[fingerprint]["state"] = "revoked"
        else:
            if fingerprint in self.keys:
                return 409, {
                    "error": {"code": "replayed_signature", "message": "Again.", "detail": {}}
                }
            self.keys[fingerprint] = {
                **{name: predicate[name] for name in ("owner", "role", "previous")},
                "fingerprint": fingerprint,
                "public_key": predicate["publicKey"],
                "state": "registered",
                "name": value["name"],
            }
        self.keys[fingerprint]["sent"] = value
        return 201, self.keys[fingerprint]

    def _model(self, method: str, model: str, rest: list[str], value: Any) -> Answer:
        if model not in self.models:
            return 404, NOT_FOUND
        match method, rest:
            case "GET", []:
                return 200, {"id": model, "head": self.models[model]}
            case "POST", ["revisions"]:
                return 201, self._commit(model, value)
            case "GET", ["revisions", revision]:
                state = self.states.pop(0) if self.states else "passed"
                return 200, {**self.revisions[revision], "state": state}
            case "GET", ["revisions", revision, "signing"]:
                return 200, {**self._signing(model, revision), **self.proposal}
            case "POST", ["releases"]:
                return self._release(model, value)
            case "GET", ["releases", version]:
                found = self.releases.get(version)
                return (404, NOT_FOUND) if found is None else (200, found)
        return 404, NOT_FOUND

    def _commit(self, model: str, value: Any) -> dict[str, Any]:
        assert all(item["sha256"] in self.stored for item in value["files"])
        assert value["parent"] == self.models[model]
        revision = hashlib.sha256(json.dumps(value["files"]).encode()).hexdigest()[:40]
        made = {"id": revision, "files": value["files"], "report": {}, "release": None}
        self.revisions[revision] = made
        self.models[model] = revision
        return {**made, "state": "pending"}

    def _signing(self, model: str, revision: str) -> dict[str, Any]:
        files = self.revisions[revision]["files"]
        manifest = Manifest.from_pairs((item["path"], item["sha256"]) for item in files)
        card = {item["path"]: item["sha256"] for item in files}.get("README.md", "")
        return {
            "observed": OBSERVED,
            "model": model,
            "revision": revision,
            "manifest": manifest.digest,
            "files": files,
            "card": {"sha256": card, "metadata": {"license": "mit"}},
            "license": "mit",
            "previous": None,
            "next_version": "1.0.0",
            "resources": manifest.to_list(),
        }

    def _release(self, model: str, value: Any) -> Answer:
        if value["version"] in self.releases:
            return 409, {"error": {"code": "name_taken", "message": "Taken.", "detail": {}}}
        made = {**value, "model": model}
        self.releases[value["version"]] = made
        self.revisions[value["revision"]]["release"] = value["version"]
        return 201, made


@contextmanager
def running(registry: Registry) -> Iterator[Registry]:
    """Serve `registry` on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            body = self.rfile.read(length)
            registry.tokens.append(self.headers.get("Authorization", ""))
            status, value = registry.answer(self.command, self.path, body)
            if (self.command, self.path) in registry.cut:  # done, and the answer is lost
                registry.cut.remove((self.command, self.path))
                self.close_connection = True
                return
            data = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            if status == 308:
                self.send_header("Location", "https://elsewhere.example.org/")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def do_PUT(self) -> None:
            self.answer()

        def log_message(self, format: str, *args: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    registry.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
