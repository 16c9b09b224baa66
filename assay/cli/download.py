"""One file from the network into a file of ours, hashed while it streams, taken up where it ended.

1. The digest is the file's name: whatever came earlier, from whichever address, is hashed again and
   goes on from its end. Nothing is given away before the digest is right.
2. The token goes to the named site alone. One redirect is followed at a time, without it: a
   registry may lead to its object store, and the bytes prove themselves.
3. A server may send less than it said, late, or in pieces: it is asked for the rest, later each
   time, until nothing more comes. It may not send more than the size that was announced.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urljoin

from assay.cli.api import WAITS_S, NoRedirects
from assay.errors import MissingError, MisuseError, UnavailableError, VerificationError
from assay.fetch import TIMEOUT_S, check_url

_CHUNK = 2**18
_HOPS = 3
_LEADS = (301, 302, 303, 307, 308)
_ABSENT = (401, 403, 404, 410)
Told = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A file: where it is, its hex SHA-256, and its size as the server announced it."""

    url: str
    sha256: str
    size: int
    token: str = ""


def download(wanted: Wanted, part: Path, told: Told) -> int:
    """Bring `wanted` into the file `part`, durable and right when this returns.

    `told` hears how many bytes more there are, less than 0 when some are given up. Returns how
    many travelled.

    Raises:
        VerificationError: other bytes, or more of them; the file is gone then.
        MissingError: the server says that it has no such file for this reader.
        UnavailableError: no answer, after all attempts; what came stays.
    """
    with part.open("a+b") as file:
        got = _Got(file, wanted.size, told)
        try:
            if _fill(wanted, got) != wanted.sha256 and got.travelled < wanted.size:
                got.restart()  # what lay here was not the beginning of it
                _fill(wanted, got)
        except VerificationError:
            part.unlink()
            raise
        found = got.digest()
        if found == wanted.sha256:
            file.flush()
            os.fsync(file.fileno())
            return got.travelled
    part.unlink()
    told(-got.count)
    raise VerificationError("the registry sent other bytes", expected=wanted.sha256, found=found)


def _fill(wanted: Wanted, got: _Got) -> str:
    """Ask until everything is there; return the hex SHA-256 of it."""
    waits = list(WAITS_S)
    while got.count < wanted.size:
        before = got.count
        try:
            _stream(wanted, got)
        except MissingError:
            raise
        except UnavailableError:
            waits = list(WAITS_S) if got.count > before else waits
            if not waits:
                raise
            time.sleep(waits.pop(0))
    return got.digest()


def _stream(wanted: Wanted, got: _Got) -> None:
    """Add what one request brings; raises as `download`."""
    try:
        with _open(wanted, got.count) as answer:
            if answer.status != 206:
                got.restart()
            elif not answer.headers.get("Content-Range", "").startswith(f"bytes {got.count}-"):
                raise UnavailableError(f"{wanted.url} answered another range")
            while chunk := answer.read1(_CHUNK):
                got.add(chunk)
    except (OSError, http.client.HTTPException, UnicodeError, MisuseError) as error:
        raise UnavailableError(f"{wanted.url} did not answer: {error}") from error
    if got.count < wanted.size:
        raise UnavailableError(f"{wanted.url} ended {wanted.size - got.count} bytes too early")


def _open(wanted: Wanted, offset: int) -> Any:
    """Return the open answer with the bytes from `offset` on, or with all of them."""
    opener = urllib.request.build_opener(NoRedirects)
    url, token = wanted.url, wanted.token
    for _ in range(_HOPS):
        headers = {"User-Agent": "assay"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(check_url(url), headers=headers)  # noqa: S310 (checked)
        try:
            return opener.open(request, timeout=TIMEOUT_S)
        except urllib.error.HTTPError as error:
            with error:
                leads = error.headers.get("Location", "") if error.code in _LEADS else ""
                if error.code in _ABSENT:
                    raise MissingError(f"{url} answered {error.code}") from error
                if not leads:
                    raise UnavailableError(f"{url} answered {error.code}") from error
            url, token = urljoin(url, leads), ""
    raise UnavailableError(f"{wanted.url} leads on and on")


class _Got:
    """What there is of a file, with its hash so far."""

    def __init__(self, file: IO[bytes], size: int, told: Told) -> None:
        self._file = file
        self._told = told
        self._size = size
        self.count = 0
        self.travelled = 0
        self._hash = hashlib.sha256()
        file.seek(0)
        while chunk := file.read(_CHUNK):
            self._hash.update(chunk)
            self.count += len(chunk)
        told(self.count)
        if self.count > size:
            self.restart()

    def restart(self) -> None:
        """Begin anew."""
        self._told(-self.count)
        self._file.truncate(0)
        self._hash, self.count = hashlib.sha256(), 0

    def add(self, chunk: bytes) -> None:
        """Append what came; VerificationError when it is more than was announced."""
        if self.count + len(chunk) > self._size:
            self.restart()
            raise VerificationError(f"the registry sent more than the {self._size} bytes it said")
        self._file.write(chunk)
        self._hash.update(chunk)
        self.count += len(chunk)
        self.travelled += len(chunk)
        self._told(len(chunk))

    def digest(self) -> str:
        """Return the hex SHA-256 of what there is."""
        return self._hash.hexdigest()
