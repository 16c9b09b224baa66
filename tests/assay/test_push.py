"""`assay push`: only what changed travels, and a command that was cut off can be repeated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assay.cli import api, sending
from assay.cli.api import Api, RefusedError
from assay.digests import sha256_hex
from assay.errors import FormatError, MisuseError, UnavailableError
from tests.assay.publishing import FILES, make_folder, make_key, run, told
from tests.assay.registry import Registry, running
from tests.assay.stand import stand

MODEL = "alice/double"
RELEASES = f"/api/v1/models/{MODEL}/releases"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASSAY_TOKEN", "assay_token")
    monkeypatch.setattr(api, "WAITS_S", (0.0,))
    monkeypatch.setattr(sending, "POLL_S", 0.0)
    for name in ("ASSAY_PASSPHRASE", "ASSAY_ID_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL"):
        monkeypatch.delenv(name, raising=False)
    make_folder(tmp_path / "double")
    make_key(tmp_path / "key.pem")


@pytest.fixture
def registry() -> Iterator[Registry]:
    with running(Registry()) as server:
        yield server


def push(registry: Registry, *more: object, key: bool = True) -> Any:
    signing = ("--key", "key.pem") if key else ()
    return run(
        *("push", "double", MODEL, "--url", registry.url, "--create", "public"), *signing, *more
    )


def parts(registry: Registry) -> list[str]:
    return [path for method, path in registry.calls if method == "PUT"]


def test_a_folder_becomes_a_signed_release(registry: Registry) -> None:
    done = push(registry, "--version", "2.0.0", "--notes", "first", "--json")
    assert done.exit_code == 0, done.output
    answer = told(done)
    assert (answer["verdict"], answer["release"]["version"]) == ("released", "2.0.0")
    assert answer["sent"] == sum(len(data) for data in FILES.values())
    assert sorted(registry.stored.values()) == sorted(FILES.values())
    assert registry.releases["2.0.0"]["notes"] == "first"


def test_only_what_changed_is_sent(registry: Registry, tmp_path: Path) -> None:
    assert push(registry).exit_code == 0
    registry.calls.clear()
    (tmp_path / "double/model.onnx").write_bytes(b"new")
    (tmp_path / "double/copy.md").write_bytes(FILES["README.md"])
    (tmp_path / "double/sub/labels.txt").unlink()
    registry.proposal = {"next_version": "1.0.1"}
    done = push(registry, "--json")
    assert done.exit_code == 0, done.output
    plan = told(done)["plan"]
    assert (plan["added"], plan["changed"], plan["removed"], plan["send"]) == (
        ["copy.md"],
        ["model.onnx"],
        ["sub/labels.txt"],
        ["model.onnx"],
    )
    assert len(parts(registry)) == 1
    assert list(registry.releases) == ["1.0.0", "1.0.1"]


def test_a_dry_run_changes_nothing(registry: Registry) -> None:
    done = push(registry, "--dry-run", "--json", key=False)
    assert done.exit_code == 0, done.output
    assert told(done)["verdict"] == "planned"
    assert told(done)["plan"]["send"] == sorted(FILES)
    assert {method for method, _ in registry.calls} == {"GET"}


def test_a_push_that_is_repeated_does_nothing(registry: Registry) -> None:
    assert push(registry).exit_code == 0
    registry.calls.clear()
    done = push(registry)
    assert (done.exit_code, "Nothing to do" in done.stdout) == (0, True)
    assert {method for method, _ in registry.calls} == {"GET"}


def test_a_broken_connection_is_taken_up_in_the_same_run(registry: Registry) -> None:
    """The part arrived and its answer did not: it is sent again, and counts once."""
    assert push(registry, "--dry-run").exit_code == 0
    digest = sha256_hex(FILES["model.onnx"])
    registry.cut.add(("PUT", f"/api/v1/uploads/{digest}/parts/1"))
    registry.cut.add(("POST", f"/api/v1/models/{MODEL}/revisions"))
    registry.cut.add(("POST", RELEASES))
    lost: list[str] = []

    def before(method: str, path: str, _: bytes) -> Any:
        if (method, path) == ("POST", f"/api/v1/models/{MODEL}/revisions") and lost:
            return 201, {"id": registry.models[MODEL]}  # as the real one answers to a repetition
        if path.endswith("/revisions"):
            lost.append(path)
        return None

    registry.before = before
    done = push(registry)
    assert done.exit_code == 0, done.output
    assert parts(registry).count(f"/api/v1/uploads/{digest}/parts/1") == 2


def test_a_model_whose_making_was_answered_too_late_is_there(registry: Registry) -> None:
    taken = {"error": {"code": "name_taken", "message": "Taken.", "detail": {}}}

    def late(method: str, path: str, _: bytes) -> Any:
        if (method, path) != ("POST", "/api/v1/models"):
            return None
        registry.models[MODEL] = None
        return 409, taken

    registry.before = late
    assert push(registry).exit_code == 0
    registry.models.clear()
    registry.before = lambda method, path, _: (
        (409, taken) if (method, path) == ("POST", "/api/v1/models") else None
    )
    done = push(registry)
    assert (done.exit_code, "Taken." in done.stderr) == (1, True)


def test_a_killed_push_goes_on_where_it_ended(registry: Registry) -> None:
    seen: list[str] = []

    def dies(method: str, path: str, _: bytes) -> Any:
        if method == "PUT":
            seen.append(path)
        return (503, {}) if len(seen) > 2 else None

    registry.before = dies
    first = push(registry)
    assert (first.exit_code, "answered 503" in first.stderr) == (3, True)
    arrived = {
        (digest, number)
        for digest, upload in registry.uploads.items()
        for number in upload["parts"]
    }
    assert len(arrived) == 2
    registry.before = lambda method, path, body: None
    registry.calls.clear()
    assert push(registry).exit_code == 0
    again = {(path.split("/")[4], int(path.split("/")[6])) for path in parts(registry)}
    assert not arrived & again


def test_a_server_that_is_busy_is_asked_again(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [429, 502, 503]

    def busy(method: str, path: str, _: bytes) -> Any:
        return (answers.pop(), {}) if path == "/api/v1/uploads" and answers else None

    registry.before = busy
    monkeypatch.setattr(api, "WAITS_S", (0.0,) * 3)
    assert push(registry).exit_code == 0


def test_without_a_release_the_push_ends_after_the_inspection(registry: Registry) -> None:
    registry.states = ["pending", "pending", "flagged"]
    done = push(registry, "--no-release", "--json", key=False)
    assert (done.exit_code, told(done)["verdict"]) == (0, "pushed")
    assert registry.releases == {}
    later = push(registry, "--json")
    assert (later.exit_code, told(later)["sent"]) == (0, 0)
    assert list(registry.releases) == ["1.0.0"]
    text = push(registry, "--no-release", key=False)
    assert "nothing is released" in text.stdout


def test_a_failed_inspection_is_a_refusal(registry: Registry) -> None:
    findings = [{"message": "a pickle in disguise"}]

    def failed(method: str, path: str, _: bytes) -> Any:
        if method == "GET" and "/revisions/" in path:
            return 200, {"state": "failed", "report": {"findings": findings}, "files": []}
        return None

    registry.before = failed
    done = push(registry)
    assert (done.exit_code, "a pickle in disguise" in done.stderr) == (1, True)
    findings.clear()
    again = push(registry)
    assert (again.exit_code, "see the report" in again.stderr) == (1, True)


def test_patience_has_an_end(registry: Registry) -> None:
    registry.states = ["pending"] * 10
    done = push(registry, "--wait", "0")
    assert (done.exit_code, "repeat the command" in done.stderr) == (3, True)
    registry.states.clear()
    registry.joins = ["joining"]
    (Path("double") / "more.txt").write_bytes(b"more")
    registry.before = lambda method, path, _: (
        (200, {"state": "joining"}) if method == "GET" and "/uploads/" in path else None
    )
    late = push(registry, "--wait", "0")
    assert (late.exit_code, "still checks" in late.stderr) == (3, True)


def test_the_server_joins_large_files_in_its_own_time(registry: Registry) -> None:
    registry.joins = ["joining"]
    registry.before = lambda method, path, _: (
        (200, {"state": "stored"}) if method == "GET" and "/uploads/" in path else None
    )
    assert push(registry).exit_code == 0


def test_an_upload_that_is_being_joined_already_is_waited_for(registry: Registry) -> None:
    joined = {"id": "x", "state": "joining", "part_size": 4, "missing": [], "error": ""}

    def busy(method: str, path: str, _: bytes) -> Any:
        if path == "/api/v1/uploads":
            return 201, joined
        if path == "/api/v1/uploads/x":
            return 200, {**joined, "state": "failed", "error": "other bytes"}
        return None

    registry.before = busy
    done = push(registry)
    assert (done.exit_code, "other bytes" in done.stderr) == (1, True)
    assert ("POST", "/api/v1/uploads/x/complete") not in registry.calls


def test_a_file_that_changes_meanwhile_is_noticed(registry: Registry, tmp_path: Path) -> None:
    target = tmp_path / "double/model.onnx"

    def changes(method: str, path: str, body: bytes) -> Any:
        if sha256_hex(FILES["model.onnx"]).encode() in body:
            target.write_bytes(b"g")
        return None

    registry.before = changes
    done = push(registry)
    assert (done.exit_code, "became shorter" in done.stderr) == (1, True)
    assert registry.models[MODEL] is None


def test_a_file_that_vanishes_meanwhile_is_noticed(tmp_path: Path, registry: Registry) -> None:
    connection = Api(registry.url, "t")
    with pytest.raises(UnavailableError, match="cannot read"):
        sending.send_file(
            connection, tmp_path / "absent", "0" * 64, patience_s=0, told=lambda there, size: None
        )
    target = tmp_path / "double/model.onnx"

    def vanishes(method: str, path: str, _: bytes) -> Any:
        target.unlink(missing_ok=True)

    registry.before = vanishes
    with pytest.raises(UnavailableError, match="cannot read"):
        sending.send_file(connection, target, "1" * 64, patience_s=0, told=lambda there, size: None)


def test_an_empty_file_is_a_file(registry: Registry) -> None:
    (Path("double") / "empty.txt").write_bytes(b"")
    assert push(registry).exit_code == 0
    assert b"" in registry.stored.values()


def test_what_cannot_be_asked_is_said_before_anything_is_sent(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bad token").write_text("two words")
    for more, words in (
        (("--no-release", "--key", "key.pem"), "--no-release"),
        ((), "--no-release"),
        (("--key", "key.pem", "--create", "secret"), "public or private"),
        (("--key", "key.pem", "--notes", "x" * 20_001), "at most"),
        (("--key", "key.pem", "--message", "x" * 501), "at most"),
        (("--key", "key.pem"), "--create makes one"),
        (("--key", "key.pem", "--token-file", "bad token"), "one line"),
        (("--key", "key.pem", "--token-file", "bad token", "--trusted"), "choose one"),
    ):
        done = run("push", "double", MODEL, "--url", registry.url, *more)
        assert (done.exit_code, words in done.stderr) == (2, True), done.stderr
    monkeypatch.delenv("ASSAY_TOKEN")
    done = push(registry)
    assert (done.exit_code, "no API token" in done.stderr) == (2, True)
    assert registry.stored == {}


def test_a_token_file_is_read(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("assay_from_file\n")
    assert push(registry, "--token-file", "token").exit_code == 0
    assert set(registry.tokens) == {"Bearer assay_from_file"}


# ------------------------------------------------------------------ without a stored token


def test_a_build_trades_its_id_token(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_ID_TOKEN", "jwt")
    assert push(registry, "--trusted").exit_code == 0
    assert set(registry.tokens) == {"", f"Bearer for-{MODEL}-jwt"}


def test_in_github_actions_the_id_token_is_asked_for(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    audience = registry.url.replace(":", "%3A").replace("/", "%2F")
    page = f"/token?api-version=2&audience={audience}"
    with stand({page: b'{"value": "jwt-of-github"}'}) as github:
        monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{github.url}/token?api-version=2")
        monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "runner")
        assert push(registry, "--trusted").exit_code == 0
        assert github.asked == [page]
        github.pages[page] = b"[]"
        done = push(registry, "--trusted")
        assert (done.exit_code, "without an ID token" in done.stderr) == (1, True)
    assert f"Bearer for-{MODEL}-jwt-of-github" in registry.tokens


def test_elsewhere_there_is_none_to_trade(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = push(registry, "--trusted")
    assert (done.exit_code, "id-token: write" in done.stderr) == (2, True)
    monkeypatch.setenv("ASSAY_ID_TOKEN", "jwt")
    open_air = run(
        *("push", "double", MODEL, "--url", "http://example.org", "--key", "key.pem"), "--trusted"
    )
    assert (open_air.exit_code, "in the open" in open_air.stderr) == (2, True)
    registry.before = lambda method, path, _: (201, {}) if path.endswith("/token") else None
    lost = push(registry, "--trusted")
    assert (lost.exit_code, "without a token" in lost.stderr) == (1, True)


# ------------------------------------------------------------------ the client itself


def test_a_redirect_is_not_followed(registry: Registry) -> None:
    """The token is for the named site; another one does not get it."""
    registry.before = lambda method, path, body: (308, b"")
    with pytest.raises(RefusedError, match="leads to https://elsewhere") as caught:
        Api(registry.url, "t").get("x")
    assert (caught.value.status, caught.value.code) == (308, "")


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ((200, b"<html>"), FormatError, "answer of"),
        ((400, b"<html>"), RefusedError, "answered 400"),
        ((400, b'{"error": {}}'), RefusedError, "answered 400"),
        ((400, b"[]"), RefusedError, "answered 400"),
        (
            (400, b'{"error": {"code": "c", "message": "m", "detail": []}}'),
            RefusedError,
            r"m \(c\)",
        ),
        ((500, b""), UnavailableError, "answered 500"),
        ((504, b""), UnavailableError, "answered 504"),
    ],
)
def test_what_a_server_may_answer(
    registry: Registry, answer: tuple[int, bytes], error: type[Exception], words: str
) -> None:
    registry.before = lambda method, path, body: answer
    with pytest.raises(error, match=words):
        Api(registry.url).get("x")


def test_find_hides_only_what_is_not_there(registry: Registry) -> None:
    found = Api(registry.url)
    assert found.find("models/a/b") is None
    registry.before = lambda method, path, body: (403, b"")
    with pytest.raises(RefusedError):
        found.find("models/a/b")


def test_nobody_answers_at_a_closed_port(registry: Registry) -> None:
    with stand({}) as server:
        url = server.url
    with pytest.raises(UnavailableError, match="did not answer"):
        Api(url).get("x")
    with pytest.raises(MisuseError):
        Api("nowhere")


def test_an_answer_may_be_empty(registry: Registry) -> None:
    registry.before = lambda method, path, body: (204, b"")
    assert Api(registry.url).get("x") is None


def test_a_revision_has_a_state(registry: Registry) -> None:
    registry.before = lambda method, path, body: (200, json.dumps([]).encode())
    with pytest.raises(FormatError, match="without a state"):
        sending.wait_inspected(Api(registry.url), "x", patience_s=0)
