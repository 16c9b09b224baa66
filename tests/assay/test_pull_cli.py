"""`assay pull`: the folder that its owner signed, whole, or no folder at all."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from assay.cli import download
from assay.cli.api import Api
from assay.cli.download import Wanted, download as bring
from assay.cli.output import Output
from assay.cli.releases import tell_signer
from assay.digests import sha256_hex
from assay.errors import UnavailableError, VerificationError
from assay.manifest import OMS
from assay.policy import parse_trusted_root
from assay.verify import verify_receipt
from tests.assay import claims
from tests.assay.publishing import run, told
from tests.assay.shop import (
    FILES,
    REVISION,
    Answer,
    Shop,
    as_json,
    no_such,
    open_shop,
    write_pins,
)
from tests.assay.vectors import vector

RESOLVE = f"/hf/alice/add/resolve/{REVISION}"


@pytest.fixture(autouse=True)
def work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where bob works, who has pinned the log and alice's key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(download, "WAITS_S", (0.0, 0.0))
    for name in ("ASSAY_TRUST", "ASSAY_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    write_pins(tmp_path / "config" / "assay" / claims.ORIGIN, role="publisher", owner="alice")
    return tmp_path


@pytest.fixture
def shop() -> Iterator[Shop]:
    with open_shop(Shop()) as server:
        yield server


def pull(shop: Shop, *more: object, model: str = "alice/add") -> Result:
    return run("pull", model, *more, "--url", shop.url)


def held(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_bob_gets_the_folder_that_alice_signed(shop: Shop, work: Path) -> None:
    done = pull(shop)
    assert done.exit_code == 0, done.output
    assert "publisher alice" in done.stdout
    assert "the newest release is the registry's word" in done.stdout
    assert held(work / "add") == {**FILES, "model.sig": shop.signature()}
    assert sorted(path.name for path in work.iterdir()) == ["add", "config"]
    assert run("verify", "add/model.sig", "--type", OMS, "--blob", "add").exit_code == 0
    # The same content twice travels once.
    assert len([path for path in shop.paths() if path.startswith("/hf/")]) == 2


def test_what_is_there_is_left_alone(shop: Shop, work: Path) -> None:
    assert pull(shop, "here").exit_code == 0
    again = told(pull(shop, "here", "--version", "1.0.0", "--json"))
    assert (again["verdict"], again["fetched"], again["notes"]) == ("there", 0, [])
    (work / "here" / "add.onnx").write_bytes(b"mine")
    other = pull(shop, "here")
    assert (other.exit_code, "'add.onnx' is not the signed one" in other.stderr) == (2, True)
    assert (work / "here" / "add.onnx").read_bytes() == b"mine"
    (work / "file").write_bytes(b"")
    assert "no folder" in pull(shop, "file").stderr
    (work / "empty").mkdir()
    assert pull(shop, "empty").exit_code == 0


def test_a_digest_names_the_content(shop: Shop, work: Path) -> None:
    done = pull(shop, model=shop.manifest.digest)
    assert done.exit_code == 0, done.output
    assert held(work / "add").keys() == {*FILES, "model.sig"}


def test_an_alias_is_checked_too(shop: Shop) -> None:
    done = pull(shop, "--version", "stable")
    assert done.exit_code == 0, done.output
    assert "That stable has not moved since entry 1 is not checked." in done.stdout


def test_a_token_is_shown_to_the_registry_alone(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, work: Path
) -> None:
    """The registry leads to its object store, which gets no token."""
    monkeypatch.setenv("ASSAY_TOKEN", "assay_token")
    with open_shop(Shop()) as store:

        def lead(method: str, path: str, headers: Any, body: bytes) -> Answer | None:
            if path.startswith("/hf/"):
                return 302, {"Location": f"{store.url}{path}?signed"}, b""
            return None

        def give(method: str, path: str, headers: Any, body: bytes) -> Answer | None:
            name = path.removeprefix(f"{RESOLVE}/").removesuffix("?signed")
            return 200, {}, store.files[name]

        shop.bend, store.bend = lead, give
        done = pull(shop)
        assert done.exit_code == 0, done.output
        seen = {headers.get("authorization") for _, _, headers, _ in shop.asked}
        assert seen == {"Bearer assay_token"}
        assert {headers.get("authorization") for _, _, headers, _ in store.asked} == {None}


def test_a_log_at_another_address_than_the_registry_is_named(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "this address is not that log's" in pull(shop).stdout
    claim = verify_receipt(
        shop.receipt(),
        key=claims.public_key(),
        trusted_root=parse_trusted_root(vector("trusted_root.json")),
        policy=None,
    )
    tell_signer(claim, Api(f"https://{claims.ORIGIN}"), Output(as_json=False))
    said = capsys.readouterr().out
    assert ("by      the key that you named" in said, "this address" in said) == (True, False)


# ------------------------------------------------------------------ what nobody signed


def test_what_nobody_signed_is_taken_only_when_asked(shop: Shop, work: Path) -> None:
    shop.bend = lambda method, path, headers, body: (
        no_such("release") if "/releases/" in path else None
    )
    done = pull(shop)
    assert (done.exit_code, "nobody signed a release of alice/add" in done.stderr) == (1, True)
    done = pull(shop, "--version", "9")
    assert (done.exit_code, "has no release 9" in done.stderr) == (1, True)
    assert not (work / "add").exists()
    done = pull(shop, "--unsigned")
    assert (done.exit_code, "No signature was checked" in done.stdout) == (0, True)
    assert held(work / "add") == FILES


def test_without_a_signature_a_version_and_a_digest_say_which(shop: Shop, work: Path) -> None:
    assert pull(shop, "one", "--unsigned", "--version", "1.0.0").exit_code == 0
    digest = shop.manifest.digest
    assert pull(shop, "two", "--unsigned", model=digest).exit_code == 0
    shop.bend = lambda method, path, headers, body: (
        as_json({"head": None}) if path == "/api/v1/models/alice/add" else None
    )
    done = pull(shop, "three", "--unsigned")
    assert (done.exit_code, "has no revision" in done.stderr) == (3, True)
    manifest: Answer = (
        200,
        {},
        json.dumps(shop.manifest.to_list(), separators=(",", ":")).encode(),
    )
    shop.files["add.onnx"] = b"another"
    releases = as_json({"items": [{**shop.told(), "manifest": digest}], "next": ""})
    pages = {f"/sha256/{digest}": manifest, "/api/v1/models/alice/add/releases?cursor=": releases}
    shop.bend = lambda method, path, headers, body: pages.get(path)
    done = pull(shop, "four", "--unsigned", model=digest)
    assert (done.exit_code, "this is another model" in done.stderr) == (1, True)


def test_a_model_that_is_not_there_is_not_there(shop: Shop) -> None:
    done = pull(shop, model="bob/none")
    assert (done.exit_code, "No models/bob/none" in done.stderr) == (1, True)


def test_without_pins_nothing_is_believed(shop: Shop, work: Path) -> None:
    (work / "config" / "assay" / claims.ORIGIN / "trusted_root.json").unlink()
    done = pull(shop)
    assert (done.exit_code, "assay trust init" in done.stderr) == (2, True)


# ------------------------------------------------------------------ lies about what was signed


def bundles(shop: Shop, **made: Callable[[], bytes]) -> None:
    """Make the ledger show other bundles."""
    numbers = {"release": "11", "oms": "12", "alias": "14"}
    pages = {f"/api/v1/ledger/entries/{numbers[kind]}": make for kind, make in made.items()}

    def bend(method: str, path: str, headers: Any, body: bytes) -> Answer | None:
        make = pages.get(path.partition("?")[0])
        return None if make is None else as_json({"bundle": json.loads(make())})

    shop.bend = bend


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"model": "alice/other"}, "this is another model"),
        ({"model": "bob/add"}, "another owner's models"),
        ({"manifest": "ab" * 32}, "the signed files are another manifest"),
        ({"version": "2.0.0"}, "another version"),
    ],
)
def test_a_release_of_something_else_is_refused(
    shop: Shop, work: Path, changed: dict[str, Any], words: str
) -> None:
    bundles(shop, release=lambda: shop.release(**changed))
    done = pull(shop, "--version", "1.0.0")
    assert (done.exit_code, words in done.stderr) == (1, True), done.output
    assert sorted(path.name for path in work.iterdir()) == ["config"]


@pytest.mark.parametrize(
    "changed", [{"alias": "beta"}, {"revision": "1" * 40}, {"model": "alice/other"}]
)
def test_a_move_of_another_alias_is_refused(shop: Shop, changed: dict[str, str]) -> None:
    bundles(shop, alias=lambda: shop.alias(**changed))
    done = pull(shop, "--version", "stable")
    assert (done.exit_code, "for another revision" in done.stderr) == (1, True), done.output


def test_a_version_that_is_neither_signed_nor_an_alias_is_refused(shop: Shop) -> None:
    release = as_json(shop.told())
    shop.bend = lambda method, path, headers, body: (
        release if path.endswith("/releases/beta") else None
    )
    done = pull(shop, "--version", "beta")
    assert (done.exit_code, "another version" in done.stderr) == (1, True)


def test_a_model_signature_over_other_files_is_refused(shop: Shop) -> None:
    honest = shop.signature()
    shop.files["add.onnx"] = b"another"
    bundles(shop, oms=lambda: honest)
    done = pull(shop)
    assert (done.exit_code, "'add.onnx' is not the signed one" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        ([], 1, "is not an object"),
        ({}, 1, "says no place of its release statement"),
        (
            {"claims": {"release": {"log": claims.ORIGIN, "index": None}}},
            3,
            "not in the ledger yet",
        ),
    ],
)
def test_a_release_that_has_no_place_is_no_release(
    shop: Shop, answer: Any, code: int, words: str
) -> None:
    shop.bend = lambda method, path, headers, body: (
        as_json(answer) if path.endswith("/releases/latest") else None
    )
    done = pull(shop)
    assert (done.exit_code, words in done.stderr) == (code, True), done.output


def test_an_entry_that_no_checkpoint_covers_is_waited_for_by_the_reader(shop: Shop) -> None:
    shop.bend = lambda method, path, headers, body: (
        as_json({"bundle": None}) if "/ledger/entries/11" in path else None
    )
    done = pull(shop)
    assert (done.exit_code, "no checkpoint covers" in done.stderr) == (3, True)


def test_a_revision_that_lacks_a_signed_file_is_refused(shop: Shop) -> None:
    shop.bend = lambda method, path, headers, body: (
        as_json({"id": REVISION, "files": []}) if "/revisions/" in path else None
    )
    done = pull(shop)
    assert (done.exit_code, "is not among the files" in done.stderr) == (1, True)


# ------------------------------------------------------------------ bytes


def files(shop: Shop, answer: Callable[[str, dict[str, str]], Answer | None]) -> None:
    """Answer files in another way: by name and headers."""
    shop.bend = lambda method, path, headers, body: (
        answer(path.removeprefix(f"{RESOLVE}/"), headers) if path.startswith(RESOLVE) else None
    )


@pytest.mark.parametrize("lie", [FILES["add.onnx"][:-1] + b"x", FILES["add.onnx"] + b"more"])
def test_other_bytes_are_refused_and_nothing_is_left(shop: Shop, work: Path, lie: bytes) -> None:
    files(shop, lambda name, headers: (200, {}, lie) if name == "add.onnx" else None)
    done = pull(shop, "--jobs", "1")
    assert (done.exit_code, "the registry sent" in done.stderr) == (1, True), done.output
    assert not (work / "add").exists()
    assert list((work / ".add.pull" / "parts").iterdir()) == []


def test_a_broken_connection_is_taken_up_where_it_ended(shop: Shop, work: Path) -> None:
    ends = [10, 50, 50, 51]

    def cut(name: str, headers: dict[str, str]) -> Answer | None:
        if name != "add.onnx" or not ends:
            return None
        start = int(headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        data = FILES[name]
        more = {"Content-Length": str(len(data) - start)}
        if start:
            more["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        return 206 if start else 200, more, data[start : ends.pop(0)]

    # The server says more than it sends, and ends the connection.
    files(shop, cut)
    done = pull(shop, "--json")
    assert done.exit_code == 0, done.output
    assert told(done)["fetched"] == len(FILES["add.onnx"]) + len(FILES["README.md"])


def test_a_killed_pull_goes_on_where_it_ended(shop: Shop, work: Path) -> None:
    files(shop, lambda name, headers: (503, {}, b"") if name == "add.onnx" else None)
    done = pull(shop, "--jobs", "1")
    assert (done.exit_code, "answered 503" in done.stderr) == (3, True)
    assert not (work / "add").exists()
    part = work / ".add.pull" / "parts" / sha256_hex(FILES["add.onnx"])
    part.write_bytes(FILES["add.onnx"][:100])
    shop.bend = lambda method, path, headers, body: None
    done = pull(shop, "--json")
    assert done.exit_code == 0, done.output
    assert told(done)["fetched"] == len(FILES["add.onnx"]) - 100
    assert sorted(path.name for path in work.iterdir()) == ["add", "config"]


def test_what_lies_there_is_not_believed(shop: Shop, work: Path) -> None:
    """Half a file of another content, one that is too long, and files that nobody lists."""
    place = work / ".add.pull"
    for folder in ("parts", "tree/sub/deep", "tree/old", "tree/README.md.d"):
        (place / folder).mkdir(parents=True)
    (place / "parts" / sha256_hex(FILES["add.onnx"])).write_bytes(b"wrong beginning")
    (place / "parts" / sha256_hex(FILES["README.md"])).write_bytes(b"x" * 5_000)
    (place / "tree" / "old" / "file").write_bytes(b"of another version")
    (place / "tree" / "README.md").write_bytes(b"# Other\n")
    (place / "tree" / "link").symlink_to("/etc")
    done = pull(shop)
    assert done.exit_code == 0, done.output
    assert held(work / "add") == {**FILES, "model.sig": shop.signature()}
    assert sorted(path.name for path in (work / "add").iterdir()) == [
        "README.md",
        "add.onnx",
        "model.sig",
        "sub",
    ]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((404, {}, b""), "answered 404"),
        ((416, {}, b""), "answered 416"),
        ((302, {}, b""), "answered 302"),
        ((302, {"Location": "ftp://example.org/"}, b""), "did not answer"),
        ((302, {"Location": "again"}, b""), "leads on and on"),
        ((206, {"Content-Range": "bytes 7-9/10"}, b"abc"), "another range"),
        ((0, {}, b""), "did not answer"),
        ((200, {}, b""), "bytes too early"),
    ],
)
def test_a_server_that_does_not_give_is_asked_until_patience_ends(
    shop: Shop, work: Path, answer: Answer, words: str
) -> None:
    files(shop, lambda name, headers: answer)
    done = pull(shop, "--jobs", "1")
    assert (done.exit_code, words in done.stderr) == (3, True), done.output
    assert not (work / "add").exists()


def test_one_pull_at_a_time(shop: Shop, work: Path) -> None:
    (work / ".add.pull").mkdir()
    descriptor = os.open(work / ".add.pull" / "lock", os.O_WRONLY | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    done = pull(shop)
    os.close(descriptor)
    assert (done.exit_code, "another `assay pull`" in done.stderr) == (2, True)


def test_a_disk_that_refuses_is_told(shop: Shop, work: Path) -> None:
    (work / ".add.pull").write_bytes(b"a file")
    done = pull(shop)
    assert (done.exit_code, "cannot write" in done.stderr) == (3, True)


def test_an_empty_file_is_a_file(shop: Shop, work: Path) -> None:
    shop.files["empty.txt"] = b""
    assert pull(shop).exit_code == 0
    assert (work / "add" / "empty.txt").read_bytes() == b""


def test_progress_hears_what_is_there_and_what_is_given_up(tmp_path: Path) -> None:
    data = b"all of it"
    heard: list[int] = []
    with open_shop(Shop()) as shop:
        shop.bend = lambda method, path, headers, body: (200, {}, data)
        url = f"{shop.url}/x"
        good = Wanted(url=url, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
        part = tmp_path / "part"
        part.write_bytes(b"wrong at a")
        assert bring(good, part, heard.append) == len(data)
        assert (part.read_bytes(), sum(heard)) == (data, len(data))
        heard.clear()
        bad = Wanted(url=url, sha256="0" * 64, size=len(data))
        with pytest.raises(VerificationError, match="other bytes"):
            bring(bad, tmp_path / "bad", heard.append)
        assert (sum(heard), (tmp_path / "bad").exists()) == (0, False)
    with pytest.raises(UnavailableError):
        bring(good, tmp_path / "late", heard.append)
