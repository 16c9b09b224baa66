"""Model files in the supervisor's memory, by SHA-256: the least recently used go first."""

from __future__ import annotations

import threading
from collections import OrderedDict

from assay.digests import sha256_hex
from inference.executor.protocol import MAX_BLOB_BYTES, RefusalError


class BlobCache:
    """Files that were hashed here, up to `budget` bytes."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._lock = threading.Lock()
        self._blobs: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0

    def get(self, sha256: str) -> bytes | None:
        """Return the file, None when it is not here."""
        with self._lock:
            data = self._blobs.get(sha256)
            if data is not None:
                self._blobs.move_to_end(sha256)
            return data

    def put(self, sha256: str, data: bytes) -> None:
        """Keep a file, if it fits at all."""
        with self._lock:
            if sha256 in self._blobs or len(data) > self._budget:
                return
            self._blobs[sha256] = data
            self._size += len(data)
            while self._size > self._budget:
                _, old = self._blobs.popitem(last=False)
                self._size -= len(old)


class Pinned:
    """The files that one connection sent for its next request; they cannot be pushed out."""

    def __init__(self, cache: BlobCache) -> None:
        self._cache = cache
        self._blobs: dict[str, bytes] = {}

    def put(self, sha256: object, data: bytes) -> None:
        """Take a file after hashing it.

        Raises:
            RefusalError: other bytes than announced, or more than one model may have.
        """
        if sha256_hex(data) != sha256:
            raise RefusalError("bad_input", "the bytes are not those of the digest")
        if sum(map(len, self._blobs.values())) + len(data) > MAX_BLOB_BYTES:
            raise RefusalError("bad_input", f"a model has at most {MAX_BLOB_BYTES} bytes here")
        self._blobs[sha256] = data
        self._cache.put(sha256, data)

    def get(self, sha256: str) -> bytes | None:
        """Return a file of this connection or of any before."""
        return self._blobs.get(sha256) or self._cache.get(sha256)

    def clear(self) -> None:
        """Let go: the request was answered."""
        self._blobs.clear()
