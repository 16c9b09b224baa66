"""`assay run`: the answer is kept with its receipt, and is about what was asked, or refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from assay.cli import asking, run as command
from assay.cli.naming import parse_name, release_of
from assay.cli.tokens import reading_api
from assay.dsse import parse_compact
from assay.errors import FormatError, MissingError, UnavailableError, VerificationError
from tests.assay import claims
from tests.assay.publishing import run, told
from tests.assay.shop import (
    REVISION,
    Answer,
    Shop,
    as_json,
    no_such,
    open_shop,
    refusal,
    write_pins,
)

INPUTS = {"x": [[1, 2, 3]], "y": [[0.5, 0.25, -1]]}
ANSWERED = f"/executions/{claims.EXECUTION_ID}/receipt"


@pytest.fixture(autouse=True)
def work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder to work in, with the inputs in every form, and nothing pinned."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(asking, "POLL_S", 0.0)
    monkeypatch.setattr(command, "POLL_S", 0.0)
    for name in ("ASSAY_TRUST", "ASSAY_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "inputs.json").write_text(json.dumps(INPUTS))
    (tmp_path / "input.tensors").write_bytes(claims.INPUT)
    return tmp_path


@pytest.fixture
def pinned(work: Path) -> None:
    write_pins(work / "config" / "assay" / claims.ORIGIN)


@pytest.fixture
def shop() -> Iterator[Shop]:
    with open_shop(Shop()) as server:
        yield server


def ask(shop: Shop, *more: object, model: str = "alice/add", given: str = "inputs.json") -> Result:
    return run("run", model, "--url", shop.url, "--input", given, "--out", "kept", *more)


@pytest.mark.usefixtures("pinned")
def test_alice_runs_a_model_and_keeps_what_proves_it(shop: Shop, work: Path) -> None:
    done = ask(shop)
    assert done.exit_code == 0, done.output
    assert "13  the execution agrees" in done.stdout
    assert "not compared" not in done.stdout
    assert "sum: FP32 [1, 3]  1.5 2.25 2" in done.stdout
    kept = {path.name: path.read_bytes() for path in (work / "kept").iterdir()}
    assert kept["input.tensors"] == claims.INPUT
    assert kept["output.tensors"] == claims.OUTPUT
    assert kept["receipt.json"] == shop.receipt()
    assert parse_compact(kept["statement.txt"].decode()).payload
    again = run("verify", "kept/receipt.json", "--blob", "kept/output.tensors")
    assert again.exit_code == 0, again.output


@pytest.mark.usefixtures("pinned")
def test_programs_read_the_verdict_and_the_values(shop: Shop) -> None:
    done = told(ask(shop, "--json", "--version", "1.0.0"))
    assert (done["verdict"], done["model"], done["index"]) == ("verified", "alice/add", 1)
    assert [item["name"] for item in done["outputs"]] == ["probabilities", "sum"]
    assert done["outputs"][1]["data"] == [1.5, 2.25, 2]
    assert shop.paths("POST") == ["/v2/models/alice/add/versions/1.0.0/infer"]


def test_without_pins_nobody_knows_who_signed_and_the_exit_code_says_so(shop: Shop) -> None:
    done = ask(shop)
    assert (done.exit_code, "nothing is pinned for the log" in done.stdout) == (3, True)
    done = run("run", "alice/add", "--url", shop.url, "--input", "input.tensors", "--unverified")
    assert (done.exit_code, Path(claims.EXECUTION_ID, "receipt.json").exists()) == (0, True)


@pytest.mark.usefixtures("pinned")
def test_a_digest_names_a_model_wherever_it_is(shop: Shop) -> None:
    done = ask(shop, model=f"sha256:{shop.manifest.digest}")
    assert done.exit_code == 0, done.output
    assert shop.paths("POST") == [f"/v2/models/alice/add/versions/{REVISION}/infer"]


def test_the_word_of_a_version_is_the_registrys(shop: Shop) -> None:
    assert "that stable is this revision" in ask(shop, "--version", "stable").stdout


# ------------------------------------------------------------------ lies


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"model": "alice/other"}, "another model"),
        ({"execution": "0192f3a4-5b6c-7d8e-9f01-000000000000"}, "another execution"),
        ({"revision": "1" * 40}, "another revision"),
        ({"input": claims.execution().output}, "about another input"),
        ({"output": claims.execution().input}, "about another output"),
        ({"input": claims.private_set(claims.INPUT)}, "no salt came"),
    ],
)
def test_a_receipt_about_something_else_is_refused_with_and_without_pins(
    shop: Shop, work: Path, said: dict[str, Any], words: str
) -> None:
    shop.said = said
    done = ask(shop, "--version", REVISION)
    assert (done.exit_code, words in done.stderr) == (1, True), done.output
    assert (work / "kept" / "receipt.json").exists()  # a lie is evidence


def test_another_content_than_the_digest_is_refused(shop: Shop) -> None:
    digest = shop.manifest.digest
    shop.said = {"manifest": "ab" * 32}
    done = ask(shop, model=digest)
    assert (done.exit_code, "another model" in done.stderr) == (1, True), done.output


@pytest.mark.usefixtures("pinned")
def test_mallorys_key_is_refused_though_everything_agrees(shop: Shop, work: Path) -> None:
    write_pins(work / "config" / "assay" / claims.ORIGIN, role="publisher", owner="mallory")
    done = ask(shop)
    assert (done.exit_code, "may not sign" in done.stderr) == (1, True)


# ------------------------------------------------------------------ private, queued, slow


@pytest.mark.usefixtures("pinned")
def test_a_private_answer_comes_with_its_salts(
    shop: Shop, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_TOKEN", "assay_token")
    shop.private = True
    done = ask(shop, "--private", "--executor", "portable")
    assert done.exit_code == 0, done.output
    salts = json.loads((work / "kept" / "salts.json").read_text())
    assert salts == {"input": claims.SALT.hex(), "output": claims.SALT.hex()}
    sent = json.loads(shop.asked[-2][3].partition(b"}}")[0].split(b'"parameters":')[-1] + b"}")
    assert shop.asked[-2][2]["authorization"] == "Bearer assay_token"
    assert sent == {"binary_data_output": True, "executor": "portable", "private": True}


@pytest.mark.usefixtures("pinned")
def test_a_queued_execution_is_waited_for(shop: Shop) -> None:
    states = ["queued", "running"]
    salts = {"input": claims.SALT.hex(), "output": claims.SALT.hex()}
    shop.private = True

    def slow(method: str, path: str, headers: Any, body: bytes) -> Answer | None:
        if path.startswith("/api/v1/executions/"):
            state = states.pop(0) if states else "succeeded"
            return as_json({"state": state, "receipt": None, "salts": salts})
        return None

    shop.bend = slow
    done = ask(shop, "--queue")
    assert done.exit_code == 0, done.output
    assert states == []
    shop.bend, shop.private = (lambda method, path, headers, body: None), False
    done = run("run", "alice/add", "--url", shop.url, "--input", "input.tensors", "--queue")
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        ({"state": "failed", "error": {"code": "model_failed"}}, 1, "failed"),
        ({"state": "running"}, 3, "still running"),
        ([], 1, "is not an object"),
    ],
)
def test_a_queued_execution_may_end_badly(shop: Shop, answer: Any, code: int, words: str) -> None:
    shop.bend = lambda method, path, headers, body: (
        as_json(answer) if path.startswith("/api/v1/executions/") else None
    )
    done = ask(shop, "--queue", "--wait", "0")
    assert (done.exit_code, words in done.stderr) == (code, True), done.output


@pytest.mark.usefixtures("pinned")
def test_the_receipt_is_waited_for_and_so_are_its_witnesses(shop: Shop) -> None:
    early = shop.receipt().replace("— witness".encode(), "— someone".encode())
    answers = [
        refusal(404, "not_included_yet"),
        (200, {}, early),
        (200, {}, shop.receipt().replace(b"\\u2014", b"-")),
    ]

    def late(method: str, path: str, headers: Any, body: bytes) -> Answer | None:
        return answers.pop(0) if path.startswith(ANSWERED) and answers else None

    shop.bend = late
    done = ask(shop)
    assert done.exit_code == 0, done.output
    assert "cosigned by witness.example.net/w1" in done.stdout


def test_a_receipt_that_does_not_come_leaves_the_rest(shop: Shop, work: Path) -> None:
    shop.bend = lambda method, path, headers, body: (
        refusal(404, "not_included_yet") if path.startswith(ANSWERED) else None
    )
    done = ask(shop, "--wait", "0")
    assert (done.exit_code, f"fetch {shop.url}{ANSWERED}" in done.stderr) == (3, True)
    assert sorted(path.name for path in (work / "kept").iterdir()) == [
        "input.tensors",
        "output.tensors",
        "statement.txt",
    ]


def test_a_receipt_that_is_none_is_kept_and_refused(shop: Shop, work: Path) -> None:
    shop.bend = lambda method, path, headers, body: (
        (200, {}, b"{}") if path.startswith(ANSWERED) else None
    )
    done = ask(shop)
    assert (done.exit_code, "mediaType" in done.stderr) == (1, True)
    assert (work / "kept" / "receipt.json").read_bytes() == b"{}"


# ------------------------------------------------------------------ servers


def test_a_busy_server_is_asked_again(shop: Shop) -> None:
    busy = [refusal(503, "executor_busy", **{"Retry-After": "0"}), refusal(429, "quota")]
    shop.bend = lambda method, path, headers, body: (
        busy.pop() if method == "POST" and busy else None
    )
    assert ask(shop).exit_code == 3
    assert len(shop.paths("POST")) == 3
    shop.bend = lambda method, path, headers, body: refusal(503, "executor_busy")
    done = run("run", "alice/add", "--url", shop.url, "--input", "input.tensors", "--wait", "0")
    assert (done.exit_code, "executor_busy" in done.stderr) == (3, True)


def test_a_lost_answer_is_asked_for_again_only_where_nothing_starts_twice(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[str] = []

    def lose(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer | None:
        if method == "POST" and not lost:
            lost.append(path)
            return 0, {}, b""
        return None

    shop.bend = lose
    done = ask(shop)
    assert (done.exit_code, "did not answer" in done.stderr) == (3, True)
    lost.clear()
    monkeypatch.setenv("ASSAY_TOKEN", "assay_token")
    assert ask(shop, "--unverified").exit_code == 0
    keys = [headers["idempotency-key"] for verb, _, headers, _ in shop.asked[-3:] if verb == "POST"]
    assert len(keys) == 2
    assert keys[0] == keys[1]


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (refusal(400, "bad_tensor"), 1, "It is bad_tensor. (bad_tensor)"),
        (no_such("model"), 1, "No model. (unknown)"),
        (refusal(504, "deadline"), 3, "deadline"),
        ((308, {"Location": "https://elsewhere.example.org/"}, b""), 1, "leads to https://else"),
        ((400, {}, b"<html>"), 1, "answered 400"),
        ((200, {}, b"[]"), 1, "has no parameters"),
        ((200, {"inference-header-content-length": "9"}, b"{}"), 1, "is no length"),
        (as_json({"parameters": {"execution_id": "x", "salt": "zz.zz"}}), 1, "parameters.salt"),
    ],
)
def test_what_a_server_may_answer(shop: Shop, answer: Answer, code: int, words: str) -> None:
    shop.bend = lambda method, path, headers, body: answer if method == "POST" else None
    done = ask(shop, "--wait", "0")
    assert (done.exit_code, words in done.stderr) == (code, True), done.output


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ([{"name": "s", "datatype": "FP32", "shape": [1], "parameters": {}}], "is no size"),
        (
            [
                {
                    "name": "s",
                    "datatype": "FP32",
                    "shape": [True],
                    "parameters": {"binary_data_size": 0},
                }
            ],
            "a dimension",
        ),
        ([], "4 bytes after the last output"),
        (
            [
                {
                    "name": "s",
                    "datatype": "FP32",
                    "shape": [2],
                    "parameters": {"binary_data_size": 4},
                }
            ],
            "is 8 bytes, not 4",
        ),
    ],
)
def test_outputs_that_are_none_are_refused(shop: Shop, outputs: Any, words: str) -> None:
    head = json.dumps({"parameters": {"execution_id": "x"}, "outputs": outputs}).encode()
    answer = (200, {asking.LENGTH: str(len(head))}, head + bytes(4))
    shop.bend = lambda method, path, headers, body: answer if method == "POST" else None
    done = ask(shop)
    assert (done.exit_code, words in done.stderr) == (1, True), done.output


def test_an_answer_without_end_is_no_answer(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, work: Path
) -> None:
    monkeypatch.setattr(asking, "_RECEIPT_BYTES", 10)
    done = ask(shop)
    assert (done.exit_code, "more than 10 bytes" in done.stderr) == (3, True)


# ------------------------------------------------------------------ usage


def test_what_cannot_be_asked_is_said_before_anything_runs(shop: Shop, work: Path) -> None:
    (work / "full").mkdir()
    (work / "full" / "receipt.json").write_bytes(b"")
    (work / "other.json").write_text('{"z": [1]}')
    (work / "list.json").write_text("[1]")
    for model, more, words in (
        ("add", (), "is not owner/name"),
        ("ab" * 32, ("--version", "1"), "a digest names one content"),
        ("alice/add", ("--executor", "cuda"), "portable or native"),
        ("alice/add", ("--wait", "-1"), "number of seconds"),
        ("alice/add", ("--out", "full"), "holds a receipt already"),
        ("alice/add", (), "give the inputs"),
        ("alice/add", ("--input", "other.json"), "the model takes x, y, and no 'z'"),
    ):
        done = run("run", model, "--url", shop.url, *more)
        assert (done.exit_code, words in done.stderr) == (2, True), done.stderr
    assert shop.paths("POST") == []


def test_a_folder_that_cannot_be_written_is_told(shop: Shop, work: Path) -> None:
    (work / "kept").write_bytes(b"a file")
    done = ask(shop)
    assert (done.exit_code, "cannot write kept" in done.stderr) == (3, True)


# ------------------------------------------------------------------ names


def test_a_digest_that_nobody_released_is_missing(shop: Shop) -> None:
    api, digest = reading_api(shop.url, None), shop.manifest.digest
    pages = {
        "/api/v1/models/alice/add/releases?cursor=": {"items": [{"manifest": "no"}], "next": "2"},
        "/api/v1/models/alice/add/releases?cursor=2": {"items": [], "next": ""},
    }
    shop.bend = lambda method, path, headers, body: as_json(pages[path]) if path in pages else None
    with pytest.raises(MissingError, match="shows no release"):
        release_of(api, digest)
    shop.bend = lambda method, path, headers, body: no_such("model") if "/models/" in path else None
    with pytest.raises(MissingError, match="shows no release"):
        release_of(api, digest)
    shop.bend = lambda method, path, headers, body: (
        as_json({"logs": [1]}) if "logs" in path else None
    )
    with pytest.raises(FormatError, match="no list of objects"):
        release_of(api, digest)
    shop.files["more"] = b""
    with pytest.raises(VerificationError, match="another manifest"):
        release_of(api, digest)
    with pytest.raises(UnavailableError):
        release_of(reading_api("http://127.0.0.1:9", None), digest)
    parse_name("alice/add", "").check(model="Alice/Add", manifest="")
