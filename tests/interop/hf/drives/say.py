"""What the drives share. They run under a stock client's Python and import nothing of ours."""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def say(*words: object) -> None:
    """Print for the test that reads."""
    sys.stdout.write(" ".join(str(word) for word in words) + "\n")


def refused(status: int, call: Callable[..., Any], *args: Any, **named: Any) -> str:
    """Return the words of the error that `call` must raise."""
    try:
        call(*args, **named)
    except Exception as error:
        response = getattr(error, "response", None)
        if response is not None and response.status_code != status:
            raise
        return f"{type(error).__name__} {error}"
    raise SystemExit(f"{call} was not refused")


def same(found: object, wanted: object) -> None:
    """End the drive unless the two are equal."""
    if found != wanted:
        raise SystemExit(f"found {found!r}, wanted {wanted!r}")


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def noise(size: int, seed: int) -> bytes:
    chance = random.Random(seed)  # noqa: S311 (test data)
    pieces = range(0, size, 2**24)  # `randbytes` has a limit
    return b"".join(chance.randbytes(min(2**24, size - at)) for at in pieces)


def floats(count: int) -> bytes:
    """Return so many float32 between a half and two, which Xet sends byte-grouped."""
    data = bytearray(noise(4 * count, 3))
    data[3::4] = b"\x3f" * count
    return bytes(data)


def words(size: int) -> bytes:
    chance = random.Random(4)  # noqa: S311 (test data)
    names = ["tensor", "graph", "node", "shape", "ledger", "\n", "weights", "é"]
    found = " ".join(chance.choices(names, k=size // 5)).encode()
    return found[:size]


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
