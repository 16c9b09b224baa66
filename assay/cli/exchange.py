"""One request and its whole answer, whatever its status: for surfaces beside the REST API.

No redirect is followed: an answer that leads elsewhere is an answer like any other, so a token goes
to the named site and nowhere else.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

from assay.cli.api import TIMEOUT_S, NoRedirects
from assay.errors import UnavailableError


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer: its status, its headers (names in lower case), its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def exchange(
    url: str,
    *,
    method: str = "GET",
    data: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    limit: int,
    timeout_s: float = TIMEOUT_S,
) -> Reply:
    """Make one request to `url`, which the caller has checked, and return the answer.

    Raises:
        UnavailableError: no answer, or more than `limit` bytes.
    """
    request = urllib.request.Request(  # noqa: S310 (the caller checked the scheme)
        url, data=data, method=method, headers={"User-Agent": "assay", **(headers or {})}
    )
    opener = urllib.request.build_opener(NoRedirects)
    try:
        try:
            answer = opener.open(request, timeout=timeout_s)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            body = answer.read(limit + 1)
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise UnavailableError(f"{url} did not answer: {error}") from error
    if len(body) > limit:
        raise UnavailableError(f"{url} answered more than {limit} bytes")
    named = {name.lower(): text for name, text in answer.headers.items()}
    return Reply(status=answer.status, headers=named, body=body)
