"""A bucket for blobs in a store of this machine, and what a client does with signed addresses."""

from __future__ import annotations

import hashlib
import itertools
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import boto3
from pytest_django import Settings

from tests.people import Person
from tests.registry.calls import API

PART = 5 * 2**20
DATA = bytes(range(256)) * (PART // 256) + b"the last part"
SHA256 = hashlib.sha256(DATA).hexdigest()
_numbers = itertools.count()


def client_of(endpoint: str) -> Any:
    return boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")


def keep_blobs_in(settings: Settings, endpoint: str) -> tuple[Any, str]:
    """Let this installation keep its blobs in a new bucket; return a client and its name."""
    client, name = client_of(endpoint), f"blobs-{next(_numbers)}"
    client.create_bucket(Bucket=name)
    settings.BLOBS_STORAGE = f"s3://{name}/files"
    settings.BLOBS_S3_ENDPOINT = endpoint
    settings.BLOBS_S3_DIRECT = True
    return client, name


def keys(client: Any, name: str) -> list[str]:
    """Return what lies in the bucket."""
    return sorted(item["Key"] for item in client.list_objects_v2(Bucket=name).get("Contents", ()))


def call(
    method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, bytes, dict[str, str]]:
    """Send one request to a store of this machine."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body or None, headers or {})
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.headers.items()}
        return answer.status, answer.read(), found
    finally:
        connection.close()


def place(sha256: str) -> str:
    """Return where a blob lies in the bucket."""
    return f"files/{sha256[:2]}/{sha256[2:4]}/{sha256}"


def declare(person: Person, data: bytes = DATA, **more: Any) -> Any:
    sha256 = hashlib.sha256(data).hexdigest()
    body = {"size": len(data), "sha256": sha256, "part_size": PART, "direct": True, **more}
    return person.api().post(f"{API}/uploads", body, format="json")


def send(person: Person, upload: Any, data: bytes = DATA, numbers: Any = (0, 1)) -> None:
    """Send parts where the server says, as a client does."""
    asked = {"parts": list(numbers)}
    found = person.api().post(f"{API}/uploads/{upload['id']}/addresses", asked, format="json")
    assert found.status_code == 200, found.json()
    for address in found.json()["addresses"]:
        start = address["number"] * PART
        part = data[start : start + address["size"]]
        assert call(address["method"], address["url"], part)[0] == 200


def complete(person: Person, upload: Any) -> Any:
    return person.api().post(f"{API}/uploads/{upload['id']}/complete")
