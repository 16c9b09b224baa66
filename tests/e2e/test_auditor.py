"""Erin has the registry's address and nothing else: she finds the one answer that is a lie."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from assay.audit import draw, seed_of
from assay.dsse import parse_envelope
from assay.note import parse_note
from assay.statements import parse_statement
from tests.e2e.lying import MODEL
from tests.e2e.stack import ROOT, Stack

HONEST = 99
GEMM = "node 4 (Gemm)"


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An Assay of its own: what is said of this operator must not be said of the others'."""
    running = Stack(data=tmp_path_factory.mktemp("operator"))
    running.start()
    yield running
    assert running.stop() == 0, "\n".join(running.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Auditor:
    """Erin's machine: her pins, her key, and the commands that she types."""

    folder: Path
    url: str

    @property
    def state(self) -> Path:
        return self.folder / "config" / "assay" / "localhost" / "audit"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "XDG_CONFIG_HOME": str(self.folder / "config")}

    def command(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "assay.cli", *(str(item) for item in arguments)]

    def run(self, *arguments: object, code: int = 0) -> str:
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def report(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((self.state / "report.json").read_bytes())
        return told


@pytest.fixture(scope="module")
def erin(operator: Stack, tmp_path_factory: pytest.TempPathFactory) -> Auditor:
    """Erin pins, makes a key and registers it as an auditor's."""
    url = operator.url.replace("127.0.0.1", "localhost")
    auditor = Auditor(folder=tmp_path_factory.mktemp("erin"), url=url)
    token = operator.manage("token", "erin", "--create", "--scope", "admin").splitlines()[-1]
    (auditor.folder / "token").write_text(token)
    auditor.run("trust", "init", url)
    auditor.run("keygen", "--out", "auditor.pem")
    who = ("--owner", "erin", "--name", "audit", "--role", "auditor", "--token-file", "token")
    auditor.run("key", "register", "--key", "auditor.pem", "--url", url, *who)
    return auditor


@pytest.fixture(scope="module")
def lied(operator: Stack, erin: Auditor) -> str:
    """A hundred executions, of which one is a lie; return which."""
    place = f"/v2/models/{MODEL.replace('/', '--')}/infer"
    found = ""
    for number in range(HONEST):
        if number == HONEST // 2:
            code = "from tests.e2e.lying import lie; lie()"
            found = operator.manage("shell", "-v", "0", "-c", code).splitlines()[-1]
        image = [float((number * 7 + i) % 17) for i in range(64)]
        tensor = {"name": "image", "datatype": "FP32", "shape": [1, 1, 8, 8], "data": image}
        last = call(operator, place, {"inputs": [tensor]})["parameters"]["execution_id"]
    call(operator, f"/executions/{last}/receipt?wait=30")
    return found


def call(stack: Stack, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(stack.url + path, data=data)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def test_erin_replays_a_hundred_and_names_the_node_that_lies(
    operator: Stack, erin: Auditor, lied: str
) -> None:
    kill_in_the_middle(erin)
    (kept,) = (erin.state / "rounds").iterdir()
    before = [json.loads(line) for line in kept.read_bytes().splitlines()]
    words = erin.run("audit", erin.url, "--key", "auditor.pem", "--all", "--json", code=1)
    events = [json.loads(line) for line in words.splitlines()]
    # What was found before the kill is not run again, and nobody drew again.
    begun = next(event for event in events if event["event"] == "round")
    assert begun["nonce"] == before[0]["plan"]["nonce"]
    done = sum("result" in line for line in before)
    assert begun["left"] == HONEST + 1 - done
    totals = erin.report()["totals"]
    assert (totals["exact"], totals["diverged"], totals["drawn"]) == (HONEST, 1, HONEST + 1)
    assert (totals["signed"], totals["taken"]) == (HONEST + 1, HONEST + 1)
    (found,) = (
        item
        for one in erin.report()["rounds"]
        for item in one["drawn"]
        if item["outcome"] == "diverged"
    )
    assert (found["execution"], found["firstDivergence"]) == (lied, GEMM)
    assert (
        f"first diverging node, by the operator's own trace: {GEMM}"
        in (erin.state / "report.txt").read_text()
    )
    check_evidence(erin, lied)
    check_told(operator, lied, found["key"])


def kill_in_the_middle(erin: Auditor) -> None:
    """Begin the audit, and kill -9 it when it has found some thirty results."""
    with subprocess.Popen(
        erin.command("audit", erin.url, "--key", "auditor.pem", "--all", "--json"),
        env=erin.environment,
        cwd=erin.folder,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        results = (line for line in process.stdout if json.loads(line)["event"] == "result")
        for _ in range(30):
            next(results)
        process.send_signal(signal.SIGKILL)


def check_evidence(erin: Auditor, lied: str) -> None:
    """Anybody who gets the capsule finds that the operator's claim does not hold."""
    evidence = erin.state / "evidence" / lied
    runtime = next((ROOT / "static" / "vendor").glob("onnxruntime-web-*"))
    words = erin.run("capsule", "check", evidence / "capsule.zip", "--runtime", runtime, code=1)
    assert words.startswith(GEMM)
    assert "claimed    does not hold" in words
    assert "replayed   holds: the same bits" in words
    statement = parse_statement(parse_envelope((evidence / "statement.json").read_bytes()).payload)
    assert statement.predicate["firstDivergence"] == GEMM


def check_told(operator: Stack, lied: str, key: str) -> None:
    """The registry has to show what erin found, and the ledger to hold it."""
    shown = call(operator, f"/api/v1/executions/{lied}/replays")["items"]
    (hers,) = (item for item in shown if item["auditor"] == key)
    assert (hers["verdict"], hers["first_divergence"]) == ("diverged", GEMM)
    page = call(operator, f"/api/v1/ledger/entries?kind=replay&signer={key}&limit=200")
    assert len(page["entries"]) + len(page["pending"]) == HONEST + 1


def test_anybody_draws_erins_sample_again(erin: Auditor, lied: str) -> None:
    """Without a key nothing is signed; a sample finds the lie when a lot falls on it."""
    options = ("--since", "0", "--sample", "5", "--state", "sampled", "--json")
    done = subprocess.run(
        erin.command("audit", erin.url, *options),
        env=erin.environment,
        cwd=erin.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    told = json.loads((erin.folder / "sampled" / "report.json").read_bytes())["rounds"][0]
    assert done.returncode == (lied in [item["execution"] for item in told["drawn"]])
    everything = [item["index"] for item in erin.report()["rounds"][0]["drawn"]]
    note = parse_note(told["checkpoint"].encode())
    again = draw(seed_of(note.text, bytes.fromhex(told["nonce"])), everything, 5)
    assert [item["index"] for item in told["drawn"]] == again
    assert {item["envelope"] for item in told["drawn"]} == {None}
