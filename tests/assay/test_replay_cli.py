"""`assay replay` as a reader meets it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from assay import replay as package
from assay.cli import app
from assay.digests import sha256_hex
from assay.errors import UnavailableError
from assay.manifest import Manifest
from assay.replay import (
    KNOWN_RUNTIMES,
)
from assay.statements import ExecutionPredicate
from assay.tensors import Tensor, decode_tensors
from tests.assay import claims
from tests.assay.bench import MATERIAL, program, stored_runtime
from tests.assay.stand import stand
from tests.assay.vectors import VECTORS

KEY = ("--key", str(VECTORS / "signer.pub"))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader who has pinned nothing."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("ASSAY_TRUST", raising=False)
    monkeypatch.delenv("NODE_BINARY", raising=False)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["replay", *(str(item) for item in arguments)])


class Bench:
    """Alice's files, and a Node that answers what it is told to."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.runtime_folder = folder / "runtime"
        self.runtime_folder.mkdir()
        self.runtime = stored_runtime(self.runtime_folder)
        self.receipt = folder / "receipt.json"
        self.input = folder / "input.tensors"
        self.input.write_bytes(claims.INPUT)
        self.output = folder / "output.tensors"
        self.output.write_bytes(claims.OUTPUT)
        self.sign(claims.execution(runtime=self.runtime))
        self.answer(decode_tensors(claims.OUTPUT))
        monkeypatch.setenv("NODE_BINARY", str(folder / "node"))

    def sign(self, predicate: ExecutionPredicate) -> None:
        self.receipt.write_bytes(claims.receipt_of(predicate))

    def answer(self, tensors: list[Tensor]) -> None:
        header = {"outputs": [{**t.header(), "size": len(t.data)} for t in tensors]}
        data = json.dumps(header).encode() + b"\n" + b"".join(t.data for t in tensors)
        program(self.folder, "node", f"sys.stdin.read\nsys.stdout.buffer.write({data!r})\n")

    @property
    def local(self) -> tuple[object, ...]:
        return (
            *(self.receipt, "--model", claims.MODEL, "--input", self.input),
            *("--runtime", self.runtime_folder),
        )


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


TRUST = (
    *KEY,
    *("--trusted-root", VECTORS / "trusted_root.json"),
    *("--policy", VECTORS / "witness-policy.txt"),
)


def test_alice_replays_from_her_own_files_without_a_network(bench: Bench) -> None:
    result = run(*bench.local, *TRUST)
    assert result.exit_code == 0, result.output
    assert "13  the execution agrees" in result.stdout
    assert "exact" in result.stdout
    assert sha256_hex(claims.OUTPUT) in result.stdout


def test_how_much_of_the_receipt_was_checked_is_said(bench: Bench) -> None:
    result = run(*bench.local)
    assert (result.exit_code, "no key is known" in result.stdout) == (0, True)
    result = run(*bench.local, *KEY)
    assert (result.exit_code, "the log was not checked" in result.stdout) == (0, True)
    stranger = bench.folder / "stranger.pem"
    stranger.write_text((VECTORS / "signer.pub").read_text())
    bench.receipt.write_bytes(bench.receipt.read_bytes().replace(b'"sig":"ME', b'"sig":"MF'))
    assert run(*bench.local, "--key", stranger).exit_code == 1


def test_who_asks_for_the_log_does_not_get_less_without_a_word(bench: Bench) -> None:
    """A trusted root without a policy: once this quietly became a check of the signature."""
    result = run(*bench.local, *TRUST[:4])
    assert (result.exit_code, "--policy is not given" in result.stderr) == (2, True)


def test_programs_read_what_was_not_checked(bench: Bench) -> None:
    notes = json.loads(run(*bench.local, "--json").stdout)["notes"]
    assert notes == ["The signature was not checked: no key is known."]
    assert json.loads(run(*bench.local, *TRUST, "--json").stdout)["notes"] == []


def test_divergence_is_exit_code_one(bench: Bench) -> None:
    probabilities, total = decode_tensors(claims.OUTPUT)
    bench.answer([probabilities, replace(total, data=bytes(12))])
    result = run(*bench.local, "--blob", bench.output, "--json")
    assert result.exit_code == 1
    value = json.loads(result.stdout)
    assert value["verdict"] == "diverged"
    assert value["differences"][0]["name"] == "sum"
    text = run(*bench.local, "--blob", bench.output).stdout
    assert "differs   sum: 3 of 3 elements differ" in text


def test_unrunnable_is_exit_code_three(bench: Bench) -> None:
    program(bench.folder, "node", 'print(\'{"error":"out of memory"}\')')
    result = run(*bench.local)
    assert (result.exit_code, "out of memory" in result.stdout) == (3, True)


def test_what_is_missing_is_usage(bench: Bench) -> None:
    result = run(bench.receipt, "--model", claims.MODEL, "--runtime", bench.runtime_folder)
    assert (result.exit_code, "give --url" in result.stderr) == (2, True)
    result = run(bench.receipt, "--url", "ftp://example.org")
    assert (result.exit_code, "not an http or https URL" in result.stderr) == (2, True)


def test_a_model_folder_is_compared_whole(bench: Bench) -> None:
    folder = bench.folder / "model"
    folder.mkdir()
    (folder / "add.onnx").write_bytes(MATERIAL.graph)
    digest = Manifest.from_pairs([("add.onnx", sha256_hex(MATERIAL.graph))]).digest
    bench.sign(claims.execution(runtime=bench.runtime, manifest=digest))
    options = ("--input", bench.input, "--runtime", bench.runtime_folder)
    assert run(bench.receipt, "--model", folder, *options).exit_code == 0
    (folder / "extra").write_bytes(b"")
    assert run(bench.receipt, "--model", folder, *options).exit_code == 1


def served(bench: Bench) -> dict[str, Any]:
    """Everything a registry serves about the execution."""
    base = f"/executions/{claims.EXECUTION_ID}"
    runtime = bench.runtime
    return {
        f"{base}/receipt": bench.receipt.read_bytes(),
        f"{base}/input.tensors": claims.INPUT,
        f"{base}/output.tensors": claims.OUTPUT,
        f"/sha256/{sha256_hex(MATERIAL.graph)}": MATERIAL.graph,
        **{f"/runtimes/{runtime.digest}/{f.name}": f.name.encode() for f in runtime.files},
    }


def test_alice_replays_a_url_and_fetches_the_rest(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KNOWN_RUNTIMES, bench.runtime.digest, "known now")
    with stand(served(bench)) as server:
        receipt = f"{server.url}/executions/{claims.EXECUTION_ID}/receipt"
        assert run(receipt).exit_code == 0
        assert run(bench.receipt, "--url", server.url, "--model", claims.MODEL).exit_code == 0


def test_mallorys_runtime_is_not_run_although_the_receipt_names_it(bench: Bench) -> None:
    with stand(served(bench)) as server:
        result = run(bench.receipt, "--url", server.url)
    assert (result.exit_code, "not known here" in result.stderr) == (3, True)


def test_the_claimed_output_is_fetched_to_show_what_differs(bench: Bench) -> None:
    probabilities, total = decode_tensors(claims.OUTPUT)
    bench.answer([probabilities, replace(total, data=bytes(12))])
    pages = served(bench)
    with stand(pages) as server:
        options = ("--url", server.url, "--runtime", bench.runtime_folder)
        assert "differs   sum" in run(bench.receipt, *options).stdout
        server.pages[f"/executions/{claims.EXECUTION_ID}/output.tensors"] = b"a lie"
        result = run(bench.receipt, *options)
        assert (result.exit_code, "differs" in result.stdout) == (1, False)
        del server.pages[f"/executions/{claims.EXECUTION_ID}/output.tensors"]
        assert run(bench.receipt, *options).exit_code == 1


def test_the_trusted_log_tells_where_the_registry_is(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def offline(url: str, *, limit: int, timeout_s: float) -> bytes:
        asked.append(url)
        raise UnavailableError("no network here")

    monkeypatch.setattr("assay.cli.given.fetch", offline)
    assert run(bench.receipt, *TRUST).exit_code == 3
    assert asked == [f"https://ledger.example.org/sha256/{sha256_hex(MATERIAL.graph)}"]


def test_the_package_says_what_it_offers() -> None:
    assert all(hasattr(package, name) for name in package.__all__)
