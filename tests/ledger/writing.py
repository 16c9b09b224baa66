"""What people do who write to the log from outside: register, hand in, ask; and their clock."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from assay.canonical import canonical_json
from assay.digests import sha256_hex
from assay.dsse import PAYLOAD_TYPE, Envelope, PublicKey, public_key_of, sign
from assay.manifest import Manifest
from assay.statements import (
    KeyPredicate,
    Observed,
    ReleasePredicate,
    Statement,
    Subject,
    render,
)
from ledger import services as ledger
from ledger.logs import current_log
from ledger.models import Leader
from ledger.services import entries as waiting
from ledger.views import write
from tests.ledger.builders import private_key, sequence, signed

ENTRIES = "/log/api/v2/log/entries"
ENVELOPES = "/log/envelopes"
JSON = "application/json"


@dataclass(slots=True)
class Clock:
    """Time for whoever waits for the log: it passes when they sleep, and then `each` is called."""

    now: float = 1000.0
    each: Callable[[], None] = lambda: None
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.each()


def use(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let the write API and whoever waits for an entry live by `clock`."""
    for module in (waiting, write):
        monkeypatch.setattr(module, "time", clock)
    return clock


def led(state: str = "leading", *, silent_s: float = 0) -> None:
    """Let the log's leader say of itself that it is `state`, `silent_s` ago."""
    at = timezone.now() - timedelta(seconds=silent_s)
    fields = {"term": 1, "name": "here", "state": state, "since": at, "beat_at": at}
    Leader.objects.update_or_create(log=current_log(), defaults=fields)


def public_key(name: str) -> PublicKey:
    return public_key_of(private_key(name).public_key())


def key_statement(name: str, **changes: Any) -> Statement:
    """Return the statement that registers the key called `name` as a publisher's of that name."""
    public = public_key(name)
    fields: dict[str, Any] = {
        "observed": ledger.observed(),
        "action": "register",
        "owner": name,
        "role": "publisher",
        "public_key": public.pem,
        "previous": None,
    }
    predicate = KeyPredicate(**{**fields, **changes})
    return predicate.statement([Subject(name="spki.der", sha256=public.fingerprint)])


def register(name: str, *, signer: str = "", **changes: Any) -> str:
    """Log what registers a key, as the registry does; return its fingerprint."""
    signed(key_statement(name, **changes), by=signer or name).append()
    sequence()
    return public_key(name).fingerprint


def release(number: int = 1, model: str = "alice/digits", **changes: Any) -> bytes:
    """Return a release statement of `model`: the payload to sign."""
    fields: dict[str, Any] = {
        "observed": ledger.observed(),
        "model": model,
        "revision": f"{number:040x}",
        "version": f"{number}.0.0",
        "manifest": sha256_hex(b"manifest"),
        "card": sha256_hex(b"card"),
        "license": "mit",
        "previous": None,
    }
    predicate = ReleasePredicate(**{**fields, **changes})
    return render(predicate.statement([Subject(name="model.onnx", sha256=sha256_hex(b"model"))]))


def unseen() -> Observed:
    """Return a checkpoint that the log never published."""
    return Observed(origin="localhost", tree_size=7, root_hash=sha256_hex(b"a tree of mallory"))


def model_signature() -> bytes:
    return Manifest.from_pairs([("model.onnx", sha256_hex(b"model"))]).oms_statement("digits")


def spelled(data: bytes) -> str:
    return base64.b64encode(data).decode()


def request_for(envelope: Envelope, key: PublicKey) -> bytes:
    """Return what a stock client sends to log `envelope`."""
    verifier = {
        "publicKey": {"rawBytes": spelled(key.spki)},
        "keyDetails": "PKIX_ECDSA_P256_SHA_256",
    }
    signature = {"content": spelled(envelope.signature), "verifier": verifier}
    request = {"digest": spelled(envelope.pae_sha256), "signature": signature}
    return canonical_json({"hashedRekordRequestV002": request})


def ask(client: Client, payload: bytes, *, by: str = "alice") -> Any:
    """Sign `payload` and ask the log to take it."""
    envelope = sign(payload, private_key(by))
    return post(client, request_for(envelope, public_key(by)))


def post(client: Client, body: bytes) -> Any:
    return client.post(ENTRIES, body, content_type=JSON)


def unsigned(statement: bytes, **changes: Any) -> bytes:
    """Return an envelope without signatures."""
    fields = {"payload": spelled(statement), "payloadType": PAYLOAD_TYPE, "signatures": []}
    return canonical_json({**fields, **changes})


def hand_in(client: Client, payload: bytes, *, by: str = "alice", key: str = "") -> Any:
    """Hand in `payload`, signed by the key of `by` and said to be `key`'s (by default theirs)."""
    envelope = sign(payload, private_key(by))
    address = f"{ENVELOPES}?key={key or public_key(by).fingerprint}"
    return client.post(address, envelope.to_json(), content_type=JSON)
