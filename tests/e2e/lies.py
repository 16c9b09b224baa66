"""What a patched server may answer, each a lie about one receipt, and the step that finds it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from playwright.sync_api import Page, Route

from assay.checkpoint import Checkpoint, parse_checkpoint
from assay.note import Note, cosign_line, parse_note, render, sign_line
from assay.policy import log_key, parse_trusted_root, render_trusted_root

Alter = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lie:
    """Answers of `address` (a glob) go through `alter`; `step` turns red and says `words`.

    `later`: the reader's browser has been there before, and was told the truth.
    """

    address: str
    alter: Alter
    step: str
    words: str
    later: bool = False
    values: bool = True


def tell(page: Page, lie: Lie) -> None:
    """Let the server tell `lie` from now on."""

    def answer(route: Route) -> None:
        told = route.fetch()
        # The length is another one now, and what was compressed has been unpacked.
        gone = {"content-length", "content-encoding"}
        headers = {name: value for name, value in told.headers.items() if name not in gone}
        route.fulfill(status=told.status, headers=headers, body=lie.alter(told.body()))

    page.route(lie.address, answer)


# ------------------------------------------------------------------ in a receipt


def in_receipt(change: Callable[[dict[str, Any]], None]) -> Alter:
    """Return what changes the parsed receipt."""

    def alter(data: bytes) -> bytes:
        bundle = json.loads(data)
        change(bundle)
        return json.dumps(bundle).encode()

    return alter


def _entry(bundle: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = bundle["verificationMaterial"]["tlogEntries"][0]
    return entry


def other_answer(bundle: dict[str, Any]) -> None:
    """Name another output, in the subject and in the predicate."""
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    for digest in (statement["subject"][0]["digest"], statement["predicate"]["output"]["digest"]):
        digest["sha256"] = "ab" * 32
    payload = json.dumps(statement).encode()
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()


def other_body(bundle: dict[str, Any]) -> None:
    body = json.loads(base64.b64decode(_entry(bundle)["canonicalizedBody"]))
    body["apiVersion"] = "0.0.3"
    text = json.dumps(body, separators=(",", ":")).encode()
    _entry(bundle)["canonicalizedBody"] = base64.b64encode(text).decode()


def no_witness(bundle: dict[str, Any]) -> None:
    checkpoint = _entry(bundle)["inclusionProof"]["checkpoint"]
    *lines, _witness, end = checkpoint["envelope"].split("\n")
    checkpoint["envelope"] = "\n".join([*lines, end])


def other_index(bundle: dict[str, Any]) -> None:
    _entry(bundle)["inclusionProof"]["logIndex"] = "1"


def other_path(bundle: dict[str, Any]) -> None:
    proof = _entry(bundle)["inclusionProof"]
    proof["hashes"][0] = base64.b64encode(b"\x01" * 32).decode()


# ------------------------------------------------------------------ beside it


def last_byte(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1]) if data else data  # a HEAD has none


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def always(answer: bytes) -> Alter:
    """Return what answers this, whatever is true."""
    return lambda _: answer


def as_publisher(data: bytes) -> bytes:
    """Publish the executor's key as a publisher's."""
    document = json.loads(data)
    for key in document["keys"]:
        if key["role"] == "executor":
            key["role"] = "publisher"
    return json.dumps(document).encode()


def without_auditor(data: bytes) -> bytes:
    """Take a key back that was published."""
    document = json.loads(data)
    kept = [key for key in document["keys"] if key["role"] != "auditor"]
    return json.dumps({"keys": kept}).encode()


def other_log_key(data: bytes) -> bytes:
    """Publish a key of the log that its operator made yesterday."""
    (log,) = parse_trusted_root(data).logs
    mine = Ed25519PrivateKey.from_private_bytes(b"\x05" * 32).public_key()
    return render_trusted_root([log_key(log.base_url, mine, log.start)])


def other_policy(data: bytes) -> bytes:
    """Ask for no witness at all."""
    lines = [line for line in data.decode().splitlines() if not line.startswith("quorum")]
    return "\n".join([*lines, "quorum none", ""]).encode()


def forked(folder: Path) -> Alter:
    """Return what signs another tree of the same size, with the keys of the log and its witness."""
    log, witness = (
        load_pem_private_key((folder / name).read_bytes(), None)
        for name in ("keys/log.pem", "witness/key.pem")
    )
    assert isinstance(log, Ed25519PrivateKey)
    assert isinstance(witness, Ed25519PrivateKey)

    def alter(data: bytes) -> bytes:
        note = parse_note(data)
        true = parse_checkpoint(note.text)
        text = Checkpoint(origin=true.origin, size=true.size, root=b"\x07" * 32).text
        name = next(line.name for line in note.lines if line.name != true.origin)
        lines = (sign_line(text, true.origin, log), cosign_line(text, name, witness, 1_800_000_000))
        return render(Note(text=text, lines=lines))

    return alter
