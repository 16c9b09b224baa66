"""Bytes from the network, bounded in size and time; what they say is somebody else's question.

Whoever fetches treats the answer as a stranger's: each format has its parser, each blob its digest.
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from http.client import HTTPException
from urllib.parse import urlsplit

from assay.errors import MisuseError, UnavailableError

TIMEOUT_S = 30.0
_CHUNK = 2**16
_SCHEMES = ("http", "https")


class _SameSchemes(urllib.request.HTTPRedirectHandler):
    """Follow redirects to http and https only; urllib would also take ftp."""

    def redirect_request(  # type: ignore[no-untyped-def]  # the signature is urllib's
        self, req, fp, code, msg, headers, newurl
    ) -> urllib.request.Request | None:
        """Return the next request."""
        check_url(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def check_url(url: str) -> str:
    """Return `url`, which names a host by http or https and carries no password.

    Raises:
        MisuseError: any other URL.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise MisuseError(f"{url!r} is not a URL: {error}") from error
    if parts.scheme not in _SCHEMES or not parts.hostname or "@" in parts.netloc or port == 0:
        raise MisuseError(f"{url!r} is not an http or https URL")
    return url


def fetch(url: str, *, limit: int, timeout_s: float = TIMEOUT_S) -> bytes:
    """Return the body that `url` answers, at most `limit` bytes, within `timeout_s` seconds.

    Raises:
        MisuseError: not an http or https URL.
        UnavailableError: no answer, another status than 200, too long, or too slow.
    """
    check_url(url)
    deadline = time.monotonic() + timeout_s
    opener = urllib.request.build_opener(_SameSchemes)
    request = urllib.request.Request(url, headers={"User-Agent": "assay"})  # noqa: S310 (checked)
    try:
        with opener.open(request, timeout=timeout_s) as response:
            if response.status != 200:
                raise UnavailableError(f"{url} answered {response.status}")
            chunks, size = [], 0
            # read1 returns what has come: read would wait for a whole chunk of a slow sender, and
            # never look at the clock.
            while chunk := response.read1(_CHUNK):
                chunks.append(chunk)
                size += len(chunk)
                if size > limit:
                    raise UnavailableError(f"{url} answered more than {limit} bytes")
                if time.monotonic() > deadline:
                    raise UnavailableError(f"{url} took longer than {timeout_s:g} s")
            if response.length:
                raise UnavailableError(f"{url} ended {response.length} bytes too early")
    except urllib.error.HTTPError as error:
        error.close()
        raise UnavailableError(f"{url} answered {error.code}") from error
    except (OSError, HTTPException, MisuseError, UnicodeError) as error:
        # UnicodeError: a host or path that cannot be written in ASCII.
        raise UnavailableError(f"{url} did not answer: {error}") from error
    return b"".join(chunks)
