"""What people ask for: seeded, synchronous and queued mixed, every fifth with an Idempotency-Key.

Each input is a number of its own, so that a row shows which request it came from.
"""

from __future__ import annotations

import hashlib
import http.client
import itertools
import json
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from assay.digests import sha256_hex
from assay.tensors import Tensor, encode_tensors
from tests.kill.ground import MODELS
from tests.kill.site import PATIENCE_S, Site

CALLERS = 6
TIMEOUT_S = 70.0
KEYED_EVERY, LOOP_EVERY = 5, 8
SYNC, KEYED, QUEUED = "synchronous", "synchronous, with a key", "queued"
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request; `value` is nobody else's."""

    value: int
    queued: bool
    key: str | None
    model: str

    @property
    def input_sha256(self) -> str:
        """The digest of its `input.tensors`, as its row has it."""
        data = struct.pack("<f", self.value)
        return sha256_hex(
            encode_tensors([Tensor(name="x", datatype="FP32", shape=(1,), data=data)])
        )


@dataclass(slots=True, kw_only=True)
class Told:
    """What a caller was told: a status for each time that they asked, 0 when nothing came."""

    ask: Ask
    statuses: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def answered(self) -> bool:
        """Whether the last answer was 200 or 202."""
        return self.statuses[-1] in (200, 202)

    @property
    def executions(self) -> set[str]:
        """The ids of the executions that they were told of."""
        found = set()
        for status, body in zip(self.statuses, self.bodies, strict=True):
            if status in (200, 202):
                said = json.loads(body)
                found.add(said.get("id") or said["parameters"]["execution_id"])
        return found


def single(kind: str) -> Ask:
    """Return one request of a kind."""
    value = next(_numbers)
    key = f"key of {value}" if kind == KEYED else None
    return Ask(value=value, queued=kind == QUEUED, key=key, model=MODELS[0])


def mix(seed: str, count: int) -> list[Ask]:
    """Return `count` requests, always the same for a seed but for their numbers."""
    asks = []
    for number in range(count):
        dice = hashlib.sha256(f"{seed}/{number}".encode()).digest()
        value = next(_numbers)
        asks.append(
            Ask(
                value=value,
                queued=dice[0] % 2 == 0,
                key=f"key of {value}" if dice[1] % KEYED_EVERY == 0 else None,
                model=MODELS[dice[2] % LOOP_EVERY == 0],
            )
        )
    return asks


def call(
    site: Site, method: str, path: str, body: bytes | None = None, key: str | None = None
) -> tuple[int, bytes]:
    """Return status and body of one call; 0 when no whole answer came."""
    headers = {"Authorization": f"Bearer {site.token}", "Content-Type": "application/json"}
    if key is not None:
        headers["Idempotency-Key"] = key
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=TIMEOUT_S)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def once(site: Site, told: Told) -> None:
    """Ask one time."""
    ask = told.ask
    tensor = {"name": "x", "datatype": "FP32", "shape": [1], "data": [ask.value]}
    body: dict[str, Any] = {"inputs": [tensor]}
    path = f"/v2/models/alice--{ask.model}/infer"
    if ask.queued:
        path, body = "/api/v1/executions", body | {"model": f"alice/{ask.model}"}
    status, answer = call(site, "POST", path, json.dumps(body).encode(), ask.key)
    told.statuses.append(status)
    told.bodies.append(answer)


def patiently(site: Site, told: Told) -> None:
    """Ask again and again until there is an answer, as a client with a key may."""
    until = time.monotonic() + PATIENCE_S
    while True:
        once(site, told)
        if told.answered:
            return
        assert time.monotonic() < until, f"never answered: {told.statuses}, {told.bodies[-1]!r}"
        site.pause()


def ask(site: Site, one: Ask) -> Told:
    """Ask as people do: once, or with a key until it is answered."""
    told = Told(ask=one)
    if one.key is None:
        once(site, told)
    else:
        patiently(site, told)
    return told


def ask_all(site: Site, asks: list[Ask]) -> list[Told]:
    """Ask all of `asks`, some at a time."""
    with ThreadPoolExecutor(CALLERS) as callers:
        return list(callers.map(lambda one: ask(site, one), asks))
