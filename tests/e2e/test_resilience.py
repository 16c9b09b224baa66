"""Whatever one child dies of, the system answers again without a hand, and nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.e2e.stack import Stack

# What stands in a child's command line, for each of them.
CHILDREN = {
    "postgresql": "bin/postgres",
    "redis": "redis-server",
    "witness": "witness serve",
    "sequencer": "manage.py sequencer",
    "executor": "inference.executor",
    "web": "gunicorn",
    "worker": "celery --app config.celery worker",
    "auditor": "manage.py auditor",
    "beat": "celery --app config.celery beat",
}
ROW = [13.2, 1.78, 2.14, 11.2, 100.0, 2.65, 2.76, 0.26, 1.28, 4.38, 1.05, 3.4, 1050.0]


def call(stack: Stack, path: str, body: Any = None, token: str = "") -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(stack.url + path, data=data, headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def patiently(what: Any, patience_s: float = 60.0) -> Any:
    """Call `what` until it answers; a client would do the same."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return what()
        except (OSError, urllib.error.HTTPError, AssertionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def infer(stack: Stack) -> str:
    tensor = {"name": "features", "datatype": "FP32", "shape": [1, 13], "data": ROW}
    answer = call(stack, "/v2/models/examples/wine/infer", {"inputs": [tensor]})
    return str(answer["parameters"]["execution_id"])


def included(stack: Stack, execution: str) -> bool:
    receipt = call(stack, f"/executions/{execution}/receipt?wait=20")
    entry = receipt["verificationMaterial"]["tlogEntries"][0]
    return "checkpoint" in entry["inclusionProof"]


@pytest.fixture(scope="session")
def token(stack: Stack) -> str:
    return stack.manage("token", "bob", "--create", "--scope", "write").splitlines()[-1]


@pytest.mark.parametrize("child", CHILDREN)
def test_kill_9_of_one_child_loses_nothing(stack: Stack, token: str, child: str) -> None:
    before = patiently(lambda: infer(stack))
    tensor = {"name": "features", "datatype": "FP32", "shape": [1, 13], "data": ROW}
    wish = {"model": "examples/wine", "inputs": [tensor]}
    queued = [
        patiently(lambda: call(stack, "/api/v1/executions", wish, token))["id"] for _ in range(3)
    ]
    pid = stack.child(CHILDREN[child])
    os.kill(pid, signal.SIGKILL)
    after = patiently(lambda: infer(stack))
    for execution in (before, after):
        assert patiently(lambda execution=execution: included(stack, execution))

    def finished(execution: str) -> None:
        row = call(stack, f"/api/v1/executions/{execution}", token=token)
        assert row["state"] == "succeeded", row

    for execution in queued:
        patiently(lambda execution=execution: finished(execution))
        assert patiently(lambda execution=execution: included(stack, execution))


def test_after_all_that_the_ledger_is_sound(stack: Stack) -> None:
    assert stack.manage("ledger_fsck") is not None
