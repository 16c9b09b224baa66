"""`assay sign` and `assay key`: what is signed was checked, and says what it should."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assay.bundle import oms_hint_for
from assay.canonical import canonical_json
from assay.cli import api
from assay.cli.files import read_folder
from assay.dsse import PublicKey, parse_envelope, verify_envelope
from assay.manifest import parse_oms
from assay.statements import (
    KeyPredicate,
    Observed,
    ReleasePredicate,
    Subject,
    parse_predicate,
    parse_statement,
    render,
)
from tests.assay.publishing import make_folder, make_key, run, told
from tests.assay.registry import OBSERVED, Registry, running

MODEL = "alice/double"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASSAY_TOKEN", "assay_token")
    monkeypatch.setattr(api, "WAITS_S", ())
    for name in ("ASSAY_PASSPHRASE", "ASSAY_ID_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "double")


@pytest.fixture
def public(tmp_path: Path) -> PublicKey:
    return make_key(tmp_path / "key.pem")


@pytest.fixture
def registry() -> Iterator[Registry]:
    with running(Registry()) as server:
        yield server


@pytest.fixture
def pushed(registry: Registry, folder: Path, public: PublicKey) -> Registry:
    """A registry that holds the folder as a revision which nobody signed."""
    done = run(
        *("push", folder, MODEL, "--url", registry.url, "--create", "public", "--no-release")
    )
    assert done.exit_code == 0, done.output
    return registry


def proposal_of(registry: Registry, path: Path, **changes: Any) -> Path:
    revision = registry.models[MODEL]
    _, value = registry.answer("GET", f"/api/v1/models/{MODEL}/revisions/{revision}/signing", b"")
    path.write_bytes(canonical_json({**value, **changes}))
    return path


# ------------------------------------------------------------------ offline


def test_a_folder_is_signed_without_a_network(folder: Path, public: PublicKey) -> None:
    done = run("sign", folder, "--key", "key.pem", "--json")
    assert done.exit_code == 0, done.output
    bundle = json.loads((folder / "model.sig").read_bytes())
    hint = bundle["verificationMaterial"]["publicKey"]["hint"]
    assert hint == oms_hint_for(public.spki)
    envelope = parse_envelope(bundle["dsseEnvelope"])
    verify_envelope(envelope, public)
    signed = parse_oms(parse_statement(envelope.payload))
    assert signed == read_folder(folder)
    assert told(done)["manifest"] == signed.digest
    again = run("sign", folder, "--key", "key.pem")  # model.sig itself is not signed
    assert (again.exit_code, signed.digest in again.stdout) == (0, True)


def test_a_signature_that_cannot_be_written_says_so(folder: Path, public: PublicKey) -> None:
    done = run("sign", folder, "--key", "key.pem", "--out", "nowhere/model.sig")
    assert (done.exit_code, "cannot write" in done.stderr) == (3, True)


def test_what_the_server_prepared_is_signed_offline(
    pushed: Registry, folder: Path, public: PublicKey, tmp_path: Path
) -> None:
    proposal = proposal_of(pushed, tmp_path / "signing.json")
    done = run(
        *("sign", folder, "--key", "key.pem", "--proposal", proposal, "--version", "2.0.0"),
        *("--notes", "the second"),
    )
    assert done.exit_code == 0, done.output
    body = json.loads((tmp_path / "release.json").read_bytes())
    assert (body["version"], body["notes"], body["key"]) == (
        "2.0.0",
        "the second",
        public.fingerprint,
    )
    envelopes = {kind: parse_envelope(value) for kind, value in body["claims"].items()}
    for envelope in envelopes.values():
        verify_envelope(envelope, public)
    release = parse_statement(envelopes["release"].payload)
    predicate = parse_predicate(release)
    assert isinstance(predicate, ReleasePredicate)
    assert predicate.manifest == read_folder(folder).digest
    assert predicate.observed == Observed.from_dict(OBSERVED)
    assert [subject.name for subject in release.subjects] == [
        "README.md",
        "model.onnx",
        "sub/labels.txt",
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"manifest": "0" * 64}, "another manifest digest"),
        ({"card": {"sha256": "0" * 64, "metadata": {}}}, "not the folder's README.md"),
        ({"card": {"sha256": "0" * 64, "metadata": []}}, "is not an object"),
        ({"files": [{"path": "README.md", "sha256": "0" * 64}]}, "is not the signed one"),
        ({"files": [{"path": "../x", "sha256": "0" * 64}]}, "segment"),
        ({"files": []}, "at least one file"),
        ({"observed": {}}, "observed"),
        ({"previous": 7}, "previous"),
    ],
)
def test_a_server_that_proposes_something_else_gets_no_signature(
    pushed: Registry, folder: Path, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    proposal = proposal_of(pushed, tmp_path / "signing.json", **changes)
    done = run("sign", folder, "--key", "key.pem", "--proposal", proposal)
    assert (done.exit_code, words in done.stderr) == (1, True), done.stderr
    assert not (tmp_path / "release.json").exists()


def test_a_file_that_appeared_since_is_not_signed_for(pushed: Registry, folder: Path) -> None:
    (folder / "extra.bin").write_bytes(b"slipped in")
    done = run("sign", folder, "--key", "key.pem", "--model", MODEL, "--url", pushed.url)
    assert (done.exit_code, "extra.bin" in done.stderr) == (1, True)
    assert pushed.releases == {}


# ------------------------------------------------------------------ with the registry


def test_a_revision_that_came_by_another_way_is_released(
    pushed: Registry, folder: Path, public: PublicKey
) -> None:
    done = run(
        *("sign", folder, "--key", "key.pem", "--model", "Alice/Double".lower()),
        *("--url", pushed.url, "--json"),
    )
    assert done.exit_code == 0, done.output
    assert told(done)["release"]["version"] == "1.0.0"
    assert pushed.releases["1.0.0"]["key"] == public.fingerprint
    assert set(pushed.tokens) == {"Bearer assay_token"}


def test_git_s_own_files_are_the_server_s_word_and_that_is_said(
    pushed: Registry, folder: Path
) -> None:
    revision = str(pushed.models[MODEL])
    files = [*pushed.revisions[revision]["files"], {"path": ".gitattributes", "sha256": "a" * 64}]
    pushed.proposal = {"files": files}
    done = run("sign", folder, "--key", "key.pem", "--model", MODEL, "--url", pushed.url)
    assert (done.exit_code, "Not checked: .gitattributes" in done.stdout) == (0, True)


@pytest.mark.parametrize("changes", [{"model": "mallory/double"}, {"revision": "0" * 40}])
def test_the_names_are_those_that_were_asked_for(
    pushed: Registry, folder: Path, changes: dict[str, str]
) -> None:
    pushed.proposal = changes
    done = run("sign", folder, "--key", "key.pem", "--model", MODEL, "--url", pushed.url)
    assert (done.exit_code, "proposes another" in done.stderr) == (1, True)


def test_the_ways_of_signing_do_not_mix(
    registry: Registry, folder: Path, public: PublicKey
) -> None:
    common = ("sign", folder, "--key", "key.pem")
    registry.models["alice/empty"] = None
    for more, words in (
        (("--model", MODEL, "--proposal", "x"), "choose one"),
        (("--model", MODEL), "needs --url"),
        (("--model", "double", "--url", registry.url), "is not owner/name"),
        (("--model", "alice/empty", "--url", registry.url), "no revision yet"),
        (("--model", MODEL, "--url", "http://example.org"), "in the open"),
        (("--model", MODEL, "--url", f"{registry.url}?x"), "not the address of a site"),
        (("--model", MODEL, "--url", "ftp://127.0.0.1"), "not an http"),
    ):
        done = run(*common, *more)
        assert (done.exit_code, words in done.stderr) == (2, True), done.stderr


def test_a_release_whose_answer_was_lost_is_found(
    pushed: Registry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "WAITS_S", (0.0,))
    pushed.cut.add(("POST", f"/api/v1/models/{MODEL}/releases"))
    done = run("sign", folder, "--key", "key.pem", "--model", MODEL, "--url", pushed.url)
    assert done.exit_code == 0, done.output
    assert pushed.calls.count(("POST", f"/api/v1/models/{MODEL}/releases")) == 2


def test_a_version_that_somebody_else_took_is_refused(pushed: Registry, folder: Path) -> None:
    pushed.releases["1.0.0"] = {"revision": "0" * 40, "key": "0" * 64}
    done = run("sign", folder, "--key", "key.pem", "--model", MODEL, "--url", pushed.url)
    assert (done.exit_code, "Taken. (name_taken)" in done.stderr) == (1, True)


# ------------------------------------------------------------------ keys


def test_a_key_is_registered_by_what_it_signs(registry: Registry, public: PublicKey) -> None:
    arguments = ("--key", "key.pem", "--url", registry.url, "--owner", "alice", "--name", "desk")
    done = run("key", "register", *arguments, "--json")
    assert done.exit_code == 0, done.output
    assert told(done)["key"]["fingerprint"] == public.fingerprint
    envelope = parse_envelope(registry.keys[public.fingerprint]["sent"]["envelope"])
    verify_envelope(envelope, public)
    predicate = parse_predicate(parse_statement(envelope.payload))
    assert isinstance(predicate, KeyPredicate)
    assert (predicate.action, predicate.owner, predicate.previous) == ("register", "alice", None)
    again = run("key", "register", *arguments)  # its first answer may have been lost
    assert again.exit_code == 0, again.output


def test_an_auditors_key_is_registered_as_one(registry: Registry, public: PublicKey) -> None:
    arguments = ("--key", "key.pem", "--url", registry.url, "--owner", "alice", "--name", "desk")
    assert run("key", "register", *arguments, "--role", "auditor").exit_code == 0
    assert registry.keys[public.fingerprint]["role"] == "auditor"
    done = run("key", "register", *arguments, "--role", "executor")
    assert (done.exit_code, "publisher or auditor" in done.stderr) == (2, True)


def test_a_refused_registration_is_a_refusal(registry: Registry, public: PublicKey) -> None:
    refusal = {"error": {"code": "bad_signature", "message": "No.", "detail": {"field": "owner"}}}
    registry.before = lambda method, path, _: (
        (400, refusal) if (method, path) == ("POST", "/api/v1/keys") else None
    )
    done = run(
        *("key", "register", "--key", "key.pem", "--url", registry.url, "--owner", "alice"),
        *("--name", "desk", "--json"),
    )
    assert done.exit_code == 1
    assert told(done)["reason"] == 'No. (bad_signature): {"field":"owner"}'


def test_a_new_key_takes_the_place_of_an_old_one(
    registry: Registry, public: PublicKey, tmp_path: Path
) -> None:
    new = make_key(tmp_path / "new.pem")
    site = ("--url", registry.url, "--name", "desk")
    assert run("key", "register", "--key", "key.pem", "--owner", "alice", *site).exit_code == 0
    done = run("key", "rotate", "--key", "key.pem", "--new", "new.pem", *site)
    assert done.exit_code == 0, done.output
    sent = registry.keys[new.fingerprint]["sent"]
    first, second = parse_envelope(sent["envelope"]), parse_envelope(sent["previous"])
    assert first.payload == second.payload
    verify_envelope(first, new)
    verify_envelope(second, public)
    predicate = parse_predicate(parse_statement(first.payload))
    assert isinstance(predicate, KeyPredicate)
    assert (predicate.action, predicate.previous) == ("supersede", public.fingerprint)


def test_a_key_is_revoked_by_itself_or_by_another(
    registry: Registry, public: PublicKey, tmp_path: Path
) -> None:
    other = make_key(tmp_path / "other.pem")
    site = ("--url", registry.url)
    for name in ("key.pem", "other.pem"):
        more = ("--owner", "alice", "--name", name)
        assert run("key", "register", "--key", name, *more, *site).exit_code == 0
    why = ("--reason", "lost")
    done = run(
        *("key", "revoke", "--key", "other.pem", "--fingerprint", public.fingerprint),
        *(*why, *site),
    )
    assert done.exit_code == 0, done.output
    sent = registry.keys[public.fingerprint]["sent"]
    envelope = parse_envelope(sent["envelope"])
    verify_envelope(envelope, other)
    assert sent["reason"] == "lost"
    assert run("key", "revoke", "--key", "other.pem", *why, *site).exit_code == 0
    bad = run("key", "revoke", "--key", "other.pem", "--fingerprint", "abc", *why, *site)
    assert bad.exit_code == 2
    registry.keys[public.fingerprint]["public_key"] = other.pem
    lie = run(
        *("key", "revoke", "--key", "other.pem", "--fingerprint", public.fingerprint),
        *(*why, *site),
    )
    assert (lie.exit_code, "another key" in lie.stderr) == (1, True)


def statement(public: PublicKey, **changes: Any) -> bytes:
    fields = {
        "observed": Observed.from_dict(OBSERVED),
        "action": "register",
        "owner": "alice",
        "role": "publisher",
        "public_key": public.pem,
        "previous": None,
    }
    predicate = KeyPredicate(**{**fields, **changes})
    return render(predicate.statement([Subject(name="", sha256=public.fingerprint)]))


def test_the_statement_of_the_page_is_signed(public: PublicKey, tmp_path: Path) -> None:
    (tmp_path / "statement.json").write_bytes(statement(public))
    done = run("key", "prove", "statement.json", "--key", "key.pem", "--json")
    assert done.exit_code == 0, done.output
    envelope = parse_envelope((tmp_path / "proof.json").read_bytes())
    verify_envelope(envelope, public)
    assert envelope.payload == statement(public)
    nowhere = run(
        *("key", "prove", "statement.json", "--key", "key.pem", "--out", "nowhere/p.json")
    )
    assert nowhere.exit_code == 3


def test_a_page_gets_no_other_statement_signed(public: PublicKey, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other.pem")
    for data, words in (
        (statement(other), "about another key"),
        (statement(public, action="revoke"), "registers no key"),
        (b"{}", "statement"),
    ):
        (tmp_path / "statement.json").write_bytes(data)
        done = run("key", "prove", "statement.json", "--key", "key.pem")
        assert (done.exit_code, words in done.stderr) == (1, True)
    assert not (tmp_path / "proof.json").exists()
