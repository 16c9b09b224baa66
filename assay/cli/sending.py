"""Files to a registry: what it lacks, in parts, taken up where an earlier attempt ended.

The server keeps what came: `declare` answers with the parts that are missing, also to another run
of the same command, so a broken connection or a killed process costs the part in flight.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from assay.canonical import as_list, as_text
from assay.cli.api import Api, part_of
from assay.errors import FormatError, UnavailableError, VerificationError

POLL_S = 1.0
Progress = Callable[[int, int], None]


def send_file(api: Api, path: Path, sha256: str, *, patience_s: float, told: Progress) -> int:
    """Bring the file at `path`, whose hex SHA-256 is `sha256`; return how many bytes travelled.

    `told` hears (bytes that are there, size) after each part.

    Raises:
        VerificationError: the file changed since it was hashed, or the server found other bytes.
        RefusedError: too large, or over the quota.
        UnavailableError: unreadable, or no answer; the command can be repeated.
    """
    size = _size(path)
    upload = api.post("uploads", {"size": size, "sha256": sha256})
    if upload["state"] == "stored":
        told(size, size)
        return 0
    part_size, missing = int(upload["part_size"]), as_list(upload["missing"], "missing")
    address = f"uploads/{part_of(as_text(upload['id'], 'id'))}"
    sent, there = 0, size - sum(_length(size, part_size, int(number)) for number in missing)
    for number in missing:
        data = _part(path, int(number), part_size, _length(size, part_size, int(number)))
        api.put_bytes(f"{address}/parts/{int(number)}", data)
        sent += len(data)
        told(there + sent, size)
    if upload["state"] == "open":
        upload = api.post(f"{address}/complete", {})
    _wait_stored(api, address, upload, path, patience_s)
    return sent


def _wait_stored(api: Api, address: str, upload: Any, path: Path, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while upload["state"] != "stored":
        if upload["state"] == "failed":
            raise VerificationError(f"the registry refused {path}: {upload['error']}")
        if time.monotonic() > deadline:
            raise UnavailableError(f"the registry still checks {path}: repeat the command")
        time.sleep(POLL_S)
        upload = api.get(address)


def wait_inspected(api: Api, address: str, *, patience_s: float) -> dict[str, Any]:
    """Return the revision at `address` once its inspection has ended.

    Raises:
        VerificationError: it failed; the message has what was found.
        UnavailableError: it takes longer than `patience_s`; the command can be repeated.
    """
    deadline = time.monotonic() + patience_s
    while True:
        revision = api.get(address)
        if not isinstance(revision, dict) or "state" not in revision:
            raise FormatError("the registry answered without a state", "revision")
        if revision["state"] == "failed":
            raise VerificationError(f"the inspection failed: {_findings(revision)}")
        if revision["state"] != "pending":
            return revision
        if time.monotonic() > deadline:
            raise UnavailableError("the inspection has not ended yet: repeat the command later")
        time.sleep(POLL_S)


def _findings(revision: dict[str, Any]) -> str:
    report = revision.get("report")
    found = report.get("findings", []) if isinstance(report, dict) else []
    words = [str(one.get("message", one)) for one in found if isinstance(one, dict)]
    return "; ".join(words) or "see the report on the revision's page"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror}") from error


def _length(size: int, part_size: int, number: int) -> int:
    return max(0, min(part_size, size - number * part_size))


def _part(path: Path, number: int, part_size: int, length: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(number * part_size)
            data = file.read(length)
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror}") from error
    if len(data) != length:
        raise VerificationError(f"{path} became shorter while it was sent")
    return data
