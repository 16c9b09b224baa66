"""A bucket for blobs in a store of this machine, and what a client does with signed addresses."""

from __future__ import annotations

import itertools
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import boto3
from pytest_django import Settings

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
