"""Calls below `/hf` as programs make them, in raw HTTP."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from django.http import StreamingHttpResponse
from django.test import Client


def body(response: Any) -> bytes:
    """Return the whole body of an answer, streamed or not."""
    if isinstance(response, StreamingHttpResponse):
        return b"".join(bytes(chunk) for chunk in response)
    return bytes(response.content)


def error(response: Any) -> tuple[int, str]:
    """Return status and `X-Error-Code`; the body must be what clients show."""
    assert isinstance(response.json()["error"], str)
    assert response["X-Error-Message"].isascii()
    return response.status_code, response.get("X-Error-Code", "")


def lines(values: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def header(summary: str = "A test", **more: str) -> dict[str, Any]:
    return {"key": "header", "value": {"summary": summary, "description": "", **more}}


def regular(path: str, data: bytes) -> dict[str, Any]:
    content = base64.b64encode(data).decode()
    return {"key": "file", "value": {"content": content, "path": path, "encoding": "base64"}}


def lfs(path: str, data: bytes, **changes: Any) -> dict[str, Any]:
    value = {"path": path, "algo": "sha256", "oid": sha(data), "size": len(data)}
    return {"key": "lfsFile", "value": value | changes}


def gone(path: str, *, folder: bool = False) -> dict[str, Any]:
    return {"key": "deletedFolder" if folder else "deletedFile", "value": {"path": path}}


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def git_sha1(data: bytes) -> str:
    named = b"blob %d\0" % len(data) + data
    return hashlib.sha1(named, usedforsecurity=False).hexdigest()


WEIGHTS = bytes(range(256)) * 40


@dataclass
class Hub:
    """A caller: nobody, or whoever the token is of."""

    token: str = ""
    client: Client = field(default_factory=Client)

    def call(self, method: str, path: str, data: Any = b"", **headers: str) -> Any:
        """Call `/hf` + `path`; a body that is no bytes goes as JSON."""
        raw = data if isinstance(data, bytes) else json.dumps(data).encode()
        return self._send(method, path, raw, headers, {})

    def cut(self, method: str, path: str, data: bytes, announced: int, **headers: str) -> Any:
        """Send fewer bytes than are announced: the connection breaks behind them."""
        environ = {
            "wsgi.input": io.BytesIO(data),
            "CONTENT_LENGTH": str(announced),
            "CONTENT_TYPE": "application/octet-stream",
        }
        return self._send(method, path, b"", headers, environ)

    def _send(
        self, method: str, path: str, raw: bytes, headers: Mapping[str, str], environ: Any
    ) -> Any:
        given = dict(headers)
        if self.token:
            given.setdefault("Authorization", f"Bearer {self.token}")
        kind = given.pop("Content-Type", "application/json")
        target = path if path.startswith("http") else f"/hf{path}"
        response: Any = self.client.generic(method, target, raw, kind, headers=given, **environ)
        if isinstance(response, StreamingHttpResponse):  # read it, so that its file is closed
            whole = b"".join(bytes(chunk) for chunk in response)
            response.streaming_content = [whole]
        return response

    def get(self, path: str, **headers: str) -> Any:
        return self.call("GET", path, **headers)

    def post(self, path: str, data: Any = b"", **headers: str) -> Any:
        return self.call("POST", path, data, **headers)

    def create(self, name: str = "double", **more: Any) -> Any:
        return self.post("/api/repos/create", {"name": name, "organization": None, **more})

    def commit(
        self,
        *operations: Mapping[str, Any],
        model: str = "alice/double",
        at: str = "main",
        first: Mapping[str, Any] | None = None,
        query: str = "",
    ) -> Any:
        """Commit; the header line is made unless it is given."""
        return self.post(
            f"/api/models/{model}/commit/{quote(at, safe='')}{query}",
            lines([first or header(), *operations]),
            **{"Content-Type": "application/x-ndjson"},
        )

    def committed(self, *operations: Mapping[str, Any], **more: Any) -> str:
        """Commit, and return the new commit's id."""
        answer = self.commit(*operations, **more)
        assert answer.status_code == 200, answer.content
        return str(answer.json()["commitOid"])

    def resolve(self, path: str, at: str = "main", model: str = "alice/double", **more: str) -> Any:
        return self.get(f"/{model}/resolve/{quote(at, safe='')}/{quote(path)}", **more)

    def upload(self, data: bytes, model: str = "alice/double") -> str:
        """Bring `data` by LFS; return its SHA-256."""
        answer = self.batch({"oid": sha(data), "size": len(data)}, model=model).json()
        for item in answer["objects"]:
            if "actions" in item:
                href = item["actions"]["upload"]["href"]
                assert Hub(client=self.client).call("PUT", href, data).status_code == 200
        return sha(data)

    def batch(self, *objects: Mapping[str, Any], model: str = "alice/double", **more: Any) -> Any:
        asked = {
            "operation": "upload",
            "transfers": ["basic", "multipart"],
            "objects": list(objects),
            "hash_algo": "sha256",
        }
        return self.post(
            f"/{model}.git/info/lfs/objects/batch",
            asked | more,
            **{"Content-Type": "application/vnd.git-lfs+json"},
        )
