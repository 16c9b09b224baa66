"""A registry's REST API, as the commands that publish speak it.

1. The token goes to the named site and nowhere else: redirects are not followed, and over plain
   http it goes to this machine only.
2. What fails on the way (no connection, 429, 502 to 504) is asked again, later each time. Every
   call may be repeated: the server takes a part, a tree or a release once.
3. An answer from 400 on is an error with the server's own words, which are a stranger's text.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import quote, urlsplit

from assay.canonical import canonical_json, encode_base64, parse_json
from assay.digests import sha256
from assay.errors import (
    AssayError,
    FormatError,
    MisuseError,
    UnavailableError,
    VerificationError,
)
from assay.fetch import check_url

TIMEOUT_S = 60.0
WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
MAX_ANSWER = 16 * 2**20
LOOPBACK = ("127.0.0.1", "::1", "localhost")
_AGAIN = (429, 502, 503, 504)


class RefusedError(VerificationError):
    """The server understood and said no: `status`, its `code`, and `detail` about the case."""

    def __init__(self, message: str, *, status: int, code: str, detail: dict[str, Any]) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.detail = detail


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Let a redirect be an answer like any other."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return no next request."""
        return None


@dataclass(frozen=True, slots=True)
class Api:
    """One site and one token (`""`: none)."""

    base: str
    token: str = ""

    def __post_init__(self) -> None:
        parts = urlsplit(check_url(self.base))
        if parts.query or parts.fragment:
            raise MisuseError(f"{self.base!r} is not the address of a site")
        if self.token and parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise MisuseError(f"{self.base} is not https: a token would travel in the open")

    def get(self, path: str) -> Any:
        """Return what GET answers; errors as `call`."""
        return self.call("GET", path)

    def find(self, path: str) -> Any:
        """Return what GET answers, None when the server says that there is no such thing."""
        try:
            return self.get(path)
        except RefusedError as error:
            if error.status == 404:
                return None
            raise

    def post(self, path: str, body: Any) -> Any:
        """Return what POST answers to JSON; errors as `call`."""
        return self.call("POST", path, canonical_json(body))

    def put_bytes(self, path: str, data: bytes) -> Any:
        """PUT raw bytes with their digest (RFC 9530); errors as `call`."""
        told = encode_base64(sha256(data))
        return self.call("PUT", path, data, {"Content-Digest": f"sha-256=:{told}:"})

    def call(
        self, method: str, path: str, data: bytes | None = None, more: dict[str, str] | None = None
    ) -> Any:
        """Call `/api/v1/<path>` and return the JSON of its answer, asking again as rule 2 says.

        Raises:
            RefusedError: an answer from 300 on that asking again does not mend.
            UnavailableError: no answer, after all attempts.
            FormatError: an answer that is not JSON.
        """
        for wait in WAITS_S:
            try:
                return self._once(method, path, data, more or {})
            except UnavailableError:
                time.sleep(wait)
        return self._once(method, path, data, more or {})

    def _once(self, method: str, path: str, data: bytes | None, more: dict[str, str]) -> Any:
        url = f"{self.base.rstrip('/')}/api/v1/{path}"
        kind = "application/octet-stream" if "Content-Digest" in more else "application/json"
        headers = {"User-Agent": "assay", "Accept": "application/json", **more}
        if data is not None:
            headers["Content-Type"] = kind
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return ask(url, method, data, headers)


def ask(url: str, method: str, data: bytes | None, headers: dict[str, str]) -> Any:
    """Make one request and return the JSON of its answer, None for an empty one.

    Raises: as `Api.call`.
    """
    request = urllib.request.Request(  # noqa: S310 (Api checked the scheme; callers do too)
        url, data=data, method=method, headers=headers
    )
    opener = urllib.request.build_opener(NoRedirects)
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            body = answer.read(MAX_ANSWER + 1)
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(url, method, error) from error
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise UnavailableError(f"{url} did not answer: {error}") from error
    return parse_json(body, max_bytes=MAX_ANSWER, path=f"answer of {url}") if body else None


def _refusal(url: str, method: str, error: urllib.error.HTTPError) -> AssayError:
    if error.code in _AGAIN:
        return UnavailableError(f"{url} answered {error.code}")
    code, message, detail = "", f"{method} {url} answered {error.code}", {}
    try:
        told = parse_json(error.read(2**20))["error"]
        code, message = str(told["code"]), f"{told['message']} ({told['code']})"
        detail = told["detail"] if isinstance(told["detail"], dict) else {}
    except (FormatError, KeyError, TypeError, OSError, http.client.HTTPException):
        if error.headers.get("Location"):
            message += f" and leads to {error.headers['Location']}"
    if detail:
        message += f": {canonical_json(detail).decode('utf-8')[:1000]}"
    if error.code >= 500:
        return UnavailableError(message)
    return RefusedError(message, status=error.code, code=code, detail=detail)


def part_of(text: str) -> str:
    """Return `text` as one segment of a path."""
    return quote(text, safe="")
