"""`/.well-known/assay/`, `/runtimes/`, `/sha256/`: what an auditor pins and a replay fetches."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from assay.canonical import canonical_json
from assay.digests import sha256_hex
from assay.policy import parse_policy, parse_trusted_root
from assay.statements import Runtime
from assay.verify import parse_keys
from ledger import services as ledger
from registry.choices import Visibility
from registry.selectors import manifest_of
from tests import builders
from tests.flush import triggers_off
from tests.ledger.builders import sequence
from tests.people import Person

PINNED = "/.well-known/assay"


def body(client: Client, path: str, status: int = 200) -> bytes:
    answer = client.get(path)
    assert answer.status_code == status
    return bytes(answer.getvalue())  # to its end, which also closes the file


def test_the_pinned_documents_are_those_of_the_log(client: Client, opened: None) -> None:
    assert body(client, f"{PINNED}/trusted_root.json") == ledger.trusted_root()
    assert body(client, f"{PINNED}/signing_config.json") == ledger.signing_config()
    assert body(client, f"{PINNED}/witness-policy.txt") == ledger.witness_policy()
    assert body(client, f"{PINNED}/log.vkey").decode() == f"{ledger.log_vkey()}\n"
    parse_trusted_root(body(client, f"{PINNED}/trusted_root.json"))
    parse_policy(body(client, f"{PINNED}/witness-policy.txt"))


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["trusted_root.json", "log.vkey"])
def test_before_the_log_is_open_there_is_nothing_to_pin(client: Client, name: str) -> None:
    body(client, f"{PINNED}/{name}", status=503)


def test_registered_keys_are_listed_as_the_verifier_reads_them(
    client: Client, opened: None, alice: Person
) -> None:
    pair = builders.make_key(alice)
    (waiting,) = parse_keys(body(client, f"{PINNED}/keys.json")).keys
    assert (waiting.key, waiting.index) == (pair.public, None)
    sequence()
    (known,) = parse_keys(body(client, f"{PINNED}/keys.json")).keys
    assert (known.owner, known.role, known.index) == ("alice", "publisher", 0)
    assert known.revoked is None


def test_a_revoked_key_says_from_which_entry_on(
    client: Client, opened: None, alice: Person
) -> None:
    pair = builders.make_key(alice)
    other = builders.make_key(alice, "alice second")
    sequence()
    with triggers_off():  # nobody offers this yet; it is how the rows will look
        rows = type(pair.row).objects.filter(pk=pair.row.pk)
        rows.update(revocation=other.row.entry, owner=None)
    first, _ = parse_keys(body(client, f"{PINNED}/keys.json")).keys
    assert (first.owner, first.revoked) == ("", 1)


def test_the_runtime_and_its_files_are_served_by_digest(client: Client) -> None:
    answer = client.get(f"{PINNED}/runtimes").json()
    (runtime,) = [Runtime.from_dict(value) for value in answer["runtimes"]]
    for file in runtime.files:
        assert sha256_hex(body(client, f"/runtimes/{runtime.digest}/{file.name}")) == file.sha256
    body(client, f"/runtimes/{runtime.digest}/package.json", status=404)
    body(client, f"/runtimes/{'0' * 64}/{runtime.files[0].name}", status=404)


def test_a_machine_without_the_runtime_says_so(
    client: Client, settings: Settings, tmp_path: Path
) -> None:
    settings.PORTABLE_RUNTIME = tmp_path
    body(client, f"{PINNED}/runtimes", status=503)


def test_released_content_and_its_manifest_are_public_by_digest(
    client: Client, opened: None, alice: Person
) -> None:
    release = builders.publish_release(alice)
    digest = sha256_hex(builders.ONNX)
    answer = client.get(f"/sha256/{digest}")
    assert answer.getvalue() == builders.ONNX
    assert answer["Content-Length"] == str(len(builders.ONNX))
    assert answer["Content-Disposition"].startswith("attachment")
    assert answer["ETag"] == f'"{digest}"'
    again = client.get(f"/sha256/{digest}", headers={"If-None-Match": answer["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "sandbox" in answer["Content-Security-Policy"]
    manifest = manifest_of(release.revision)
    assert body(client, f"/sha256/{manifest.digest}") == canonical_json(manifest.to_list())


def test_a_private_models_content_is_nobodys_to_fetch(
    client: Client, opened: None, alice: Person
) -> None:
    release = builders.publish_release(alice)
    model = release.model
    model.visibility = Visibility.PRIVATE
    model.save()
    body(client, f"/sha256/{sha256_hex(builders.ONNX)}", status=404)
    body(client, f"/sha256/{manifest_of(release.revision).digest}", status=404)
    body(client, f"/sha256/{'0' * 64}", status=404)
    body(client, "/sha256/nonsense", status=404)
    body(client, "/sha256/%00", status=404)
