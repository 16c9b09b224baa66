"""REST calls as people make them."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import Any

from rest_framework.test import APIClient

from assay.dsse import Envelope
from registry.choices import ClaimKind

API = "/api/v1"


def content_digest(data: bytes) -> str:
    return f"sha-256=:{b64encode(hashlib.sha256(data).digest()).decode()}:"


def declare(client: APIClient, data: bytes, part_size: int | None = None) -> Any:
    body = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "part_size": part_size}
    return client.post(f"{API}/uploads", body, format="json")


def put_part(
    client: APIClient, upload_id: str, number: int, data: bytes, digest: str | None = None
) -> Any:
    return client.put(
        f"{API}/uploads/{upload_id}/parts/{number}",
        data,
        content_type="application/octet-stream",
        headers={"Content-Digest": content_digest(data) if digest is None else digest},
    )


def upload(client: APIClient, data: bytes, part_size: int = 64) -> str:
    """Upload `data`, the last part first; return its digest."""
    answer = declare(client, data, part_size).json()
    if answer["state"] != "stored":
        for number in reversed(answer["missing"]):
            start = number * answer["part_size"]
            part = put_part(client, answer["id"], number, data[start : start + answer["part_size"]])
            assert part.status_code == 200, part.json()
        done = client.post(f"{API}/uploads/{answer['id']}/complete")
        assert (done.status_code, done.json()["state"]) == (202, "stored"), done.json()
    return hashlib.sha256(data).hexdigest()


def commit(client: APIClient, model: str, files: dict[str, str], parent: str | None = None) -> Any:
    listed = [{"path": path, "sha256": sha256} for path, sha256 in files.items()]
    body = {"files": listed, "parent": parent, "message": "first"}
    return client.post(f"{API}/models/{model}/revisions", body, format="json")


def release(
    client: APIClient,
    model: str,
    revision: str,
    envelopes: dict[ClaimKind, Envelope],
    key: str,
    version: str = "1.0.0",
) -> Any:
    body = {
        "revision": revision,
        "version": version,
        "notes": "the first one",
        "claims": {str(kind): envelope.to_dict() for kind, envelope in envelopes.items()},
        "key": key,
    }
    return client.post(f"{API}/models/{model}/releases", body, format="json")


def error(answer: Any) -> tuple[int, str]:
    """Return status and code of a refusal."""
    return answer.status_code, answer.json()["error"]["code"]
