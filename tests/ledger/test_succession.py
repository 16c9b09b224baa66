"""One log ends and another begins, and everything that the first one said stays checkable."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings as here
from django.db import IntegrityError, connection, transaction
from django.test import Client
from pytest_django import Settings

from assay.canonical import parse_json
from assay.checkpoint import parse_checkpoint
from assay.dsse import PublicKey
from assay.errors import VerificationError
from assay.note import VKey, open_note
from assay.policy import parse_policy, parse_trusted_root
from assay.statements import MODERATION, RELEASE, Observed
from assay.verify import parse_keys, verify_bundle
from ledger import services as ledger
from ledger.errors import LogFrozenError
from ledger.keys import LogKeyError, load_log_key
from ledger.models import Entry, Log
from ledger.sequencer import Sequencer
from ledger.services.check import check_log
from ledger.services.freeze import LogSuccessionError, freeze
from ledger.storage import log_storage
from registry.choices import ClaimKind
from registry.services import keys as registry_keys
from tests import builders
from tests.ledger.builders import append_all, claim, sequence, thing, verified
from tests.ledger.shards import sequence_here
from tests.ledger.succession import FIRST, NEXT, follow_on, move, move_back
from tests.ledger.witness import Witness, trust, witness
from tests.people import Person


@pytest.fixture
def second_wanda(
    opened: None, wanda: Witness, settings: Settings, policy_path: Path
) -> Iterator[Witness]:
    """Alice's three claims are in the first log; the next one is open, and wanda follows it too."""
    append_all(range(3))
    follow_on(settings)
    with witness("wanda", VKey.parse(ledger.log_vkey())) as server:
        trust(policy_path, server)
        yield server


# ---------------------------------------------------------------- the whole story


def test_every_receipt_of_both_logs_verifies_with_the_documents_of_today(
    second_wanda: Witness,
) -> None:
    bobs = append_all(range(3, 5), by="bob")
    sequence_here()
    old = Entry.objects.filter(log__origin=FIRST).order_by("index")
    alices = list(old.values_list("pk", flat=True))
    assert len(alices) == 3
    for number, entry in enumerate([*alices, *bobs]):
        found = verified(entry, number)
        assert found.checkpoint.witnesses
        origin, index = (FIRST, number) if number < 3 else (NEXT, number - 3)
        assert (found.checkpoint.checkpoint.origin, found.index) == (origin, index)
        assert ledger.entry_status(entry).witnesses == 1


def test_each_log_is_whole_and_lies_beside_the_other(second_wanda: Witness) -> None:
    append_all(range(3, 5), by="bob")
    sequence_here()
    first, following = Log.objects.order_by("pk")
    assert (first.place, following.place) == ("", f"logs/{NEXT}")
    assert [check_log(lambda done, size: None, log) for log in (first, following)] == [3, 2]
    assert (here.LEDGER_DIR / "logs" / NEXT / "checkpoint").is_file()


def test_mallory_with_the_old_key_appends_nothing_to_the_old_log(
    second_wanda: Witness, settings: Settings
) -> None:
    page = log_storage().get("checkpoint")
    claim(3, by="mallory").append()  # waits in the next log
    with (
        pytest.raises(IntegrityError, match="never changes"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "UPDATE ledger_entry SET log_id = (SELECT min(id) FROM ledger_log) WHERE index IS NULL"
        )
    move_back(settings)
    with pytest.raises(LogFrozenError, match=f"{NEXT} goes on"):
        claim(4, by="mallory").append()
    old = Sequencer(FIRST, storage=log_storage(), key=load_log_key(settings.LEDGER_KEY))
    old.recover()
    assert old.cycle() == 0
    assert log_storage().get("checkpoint") == page
    assert Log.objects.get(origin=FIRST).size == 3


def test_a_claim_of_the_first_log_is_not_logged_a_second_time(second_wanda: Witness) -> None:
    entry = Entry.objects.get(log__origin=FIRST, index=1)
    assert ledger.entry_for_claim(entry.fingerprint, bytes(entry.payload_id)) == entry.pk
    assert ledger.wait_included(entry.pk, 0)


def test_stock_cosign_verifies_both_logs_with_one_trusted_root(
    second_wanda: Witness, tmp_path: Path
) -> None:
    program = os.environ.get("COSIGN") or shutil.which("cosign")
    if not program:
        pytest.skip("cosign is not installed: set COSIGN to its path")
    append_all(range(3, 4))
    sequence_here()
    (tmp_path / "trusted_root.json").write_bytes(ledger.trusted_root())
    (tmp_path / "key.pub").write_text(claim(0).key.pem)
    for number, origin in ((1, FIRST), (3, NEXT)):
        entry = Entry.objects.filter(log__origin=origin).order_by("index")[number % 3]
        (tmp_path / "thing").write_bytes(thing(number))
        (tmp_path / "bundle.json").write_bytes(ledger.receipt(entry.pk))
        command = [
            *(program, "verify-blob-attestation", "--bundle", "bundle.json", "--key", "key.pub"),
            *("--trusted-root", "trusted_root.json", "--type", MODERATION, "thing"),
        ]
        environment = {"HOME": str(tmp_path), "PATH": os.defpath}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert "Verified OK" in done.stdout + done.stderr, done.stderr


# ---------------------------------------------------------------- documents


def test_the_documents_name_every_log_the_oldest_first(second_wanda: Witness) -> None:
    root = parse_trusted_root(ledger.trusted_root())
    assert root.origins == (FIRST, NEXT)
    assert [log.base_url for log in root.logs] == [
        Log.objects.get(origin=FIRST).url,
        f"https://{NEXT}/log",
    ]
    policy = parse_policy(ledger.witness_policy())
    assert [key.vkey for key in policy.logs] == [log.vkey for log in root.logs]
    assert [key.url for key in policy.logs] == [log.base_url for log in root.logs]
    assert VKey.parse(ledger.log_vkey()) == root.logs[1].vkey
    (service,) = parse_json(ledger.signing_config())["rekorTlogUrls"]
    assert (service["url"], service["operator"]) == (f"https://{NEXT}/log", NEXT)


def test_where_a_log_was_reached_when_it_ended_is_where_it_stays(
    opened: None, settings: Settings
) -> None:
    settings.LEDGER_URL = "https://localhost:8443/log"
    assert parse_trusted_root(ledger.trusted_root()).logs[0].base_url == settings.LEDGER_URL
    follow_on(settings)
    assert parse_trusted_root(ledger.trusted_root()).logs[0].base_url == (
        "https://localhost:8443/log"
    )


def test_a_signer_may_have_seen_the_first_log_or_the_next_one(second_wanda: Witness) -> None:
    new = ledger.observed()
    assert new.origin == NEXT
    old = Log.objects.get(origin=FIRST)
    seen = Observed(origin=FIRST, tree_size=3, root_hash=bytes(old.root).hex())
    assert ledger.is_checkpoint(new)
    assert ledger.is_checkpoint(seen)
    for lie in (
        Observed(origin=NEXT, tree_size=3, root_hash=seen.root_hash),
        Observed(origin=FIRST, tree_size=2, root_hash=seen.root_hash),
        Observed(origin="mallory\0", tree_size=3, root_hash=seen.root_hash),
    ):
        assert not ledger.is_checkpoint(lie)


def test_the_head_is_that_of_the_current_log(second_wanda: Witness) -> None:
    head = ledger.newest_checkpoint()
    assert (head.origin, head.size) == (NEXT, 0)


# ---------------------------------------------------------------- keys across logs


def test_a_key_counts_across_logs_until_it_is_revoked(
    opened: None, settings: Settings, client: Client, alice: Person
) -> None:
    release = builders.publish_release(alice)
    revoked = builders.known_key(release.key, alice)
    builders.make_key(alice, "alice second")
    follow_on(settings)
    revision = builders.make_revision(alice, release.model, {"README.md": builders.CARD})
    later = builders.publish_release(alice, revision, version="2.0.0", key=revoked)
    envelope = builders.key_envelope(
        builders.private_key("alice"),
        "alice",
        signer=builders.private_key("alice second"),
        action="revoke",
    )
    sequence_here()
    registry_keys.revoke(alice.user, revoked.fingerprint, envelope, reason="lost")
    sequence_here()
    ring = parse_keys(client.get("/.well-known/assay/keys.json").content)
    known = next(key for key in ring.keys if key.key.fingerprint == revoked.fingerprint)
    assert (known.log, known.index, known.revoked_log) == (FIRST, 0, NEXT)
    root = parse_trusted_root(ledger.trusted_root())
    for one in (release, later):
        claimed = one.claims.get(kind=ClaimKind.RELEASE)
        verify_bundle(
            ledger.receipt(claimed.entry_id),
            key=known,
            trusted_root=root,
            predicate_type=RELEASE,
            policy=None,
            without_file=True,
        )
    assert known.revoked is not None
    known.check_index(10_000, FIRST, root.origins)
    with pytest.raises(VerificationError, match="revoked"):
        known.check_index(known.revoked, NEXT, root.origins)


# ---------------------------------------------------------------- by host name


def test_each_log_is_served_under_its_own_name(second_wanda: Witness, client: Client) -> None:
    append_all(range(3, 4), by="bob")
    sequence_here()
    vkeys = {log.origin: VKey.parse(log.vkey) for log in Log.objects.all()}
    hosts = {
        FIRST: FIRST,
        f"{FIRST}:8000": FIRST,
        NEXT: NEXT,
        NEXT.upper(): NEXT,
        "testserver": NEXT,  # whatever else leads here: the current one
    }
    for prefix in ("/log", "/log/api/v2"):
        for host, origin in hosts.items():
            page = client.get(f"{prefix}/checkpoint", headers={"Host": host}).content
            note = open_note(page, [vkeys[origin]])
            assert parse_checkpoint(note.text).origin == origin
            for path, size in (("tile/0/000.p/3", 3), ("tile/entries/000.p/1", 1)):
                answer = client.get(f"{prefix}/{path}", headers={"Host": host})
                has = Log.objects.get(origin=origin).size == size
                assert (answer.status_code == 200) is has, (host, path)


def test_an_envelope_has_the_signatures_of_the_log_that_is_asked(
    second_wanda: Witness, client: Client
) -> None:
    claim(1, by="bob").append()  # alice's payload, which the first log holds
    sequence_here()
    path = f"/log/envelopes/{claim(1).envelope.pae_sha256.hex()}"
    for host, signer in ((FIRST, "alice"), (NEXT, "bob")):
        (entry,) = Entry.objects.filter(log__origin=host, payload=claim(1).envelope.pae_sha256)
        value = client.get(path, headers={"Host": host}).json()
        assert PublicKey(spki=bytes(entry.public_key)) == claim(1, by=signer).key
        assert len(value["signatures"]) == 1
    only_old = f"/log/envelopes/{claim(0).envelope.pae_sha256.hex()}"
    assert client.get(only_old, headers={"Host": FIRST}).status_code == 200
    assert client.get(only_old, headers={"Host": NEXT}).status_code == 404


def test_a_name_that_the_site_does_not_answer_to_is_refused(
    opened: None, client: Client, settings: Settings
) -> None:
    settings.ALLOWED_HOSTS = [FIRST]
    assert client.get("/log/checkpoint", headers={"Host": FIRST}).status_code == 200
    assert client.get("/log/checkpoint", headers={"Host": "mallory.example"}).status_code == 400


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["checkpoint", "tile/0/000.p/1", "envelopes/" + "0" * 64])
def test_before_the_first_log_is_open_nothing_is_served(client: Client, path: str) -> None:
    for host in (FIRST, "testserver"):
        assert client.get(f"/log/{path}", headers={"Host": host}).status_code == 404


# ---------------------------------------------------------------- pages


def test_pages_name_the_log_of_an_entry_that_is_not_the_current_one(
    opened: None, settings: Settings, client: Client, alice: Person
) -> None:
    release = builders.publish_release(alice)
    sequence()
    site = f"/models/{release.model.full_name}/releases/{release.version}/"
    assert b'href="/ledger/0/"' in client.get(f"/keys/{release.key_id}/").content
    assert b"?log=" not in client.get(site).content
    follow_on(settings)
    key_page = client.get(f"/keys/{release.key_id}/").content.decode()
    assert f'href="/ledger/0/?log={FIRST}"' in key_page
    shown = client.get(site).content.decode()
    size = Log.objects.get(origin=FIRST).size
    assert f"entry 3, in checkpoint {size}" in shown
    assert f"/ledger/3/?log={FIRST}" in shown
    assert f"/ledger/checkpoints/{size}/?log={FIRST}" in shown


def test_an_entry_without_an_index_has_a_page_that_needs_no_log(second_wanda: Witness) -> None:
    waiting = Entry.objects.get(pk=append_all(range(3, 4))[0])
    assert ledger.entry_url(waiting) == f"/ledger/pending/{waiting.pk}/"
    sequence_here()
    waiting.refresh_from_db()
    assert ledger.entry_url(waiting) == "/ledger/0/"
    assert ledger.checkpoint_url(waiting, 1) == "/ledger/checkpoints/1/"


def test_json_says_which_log_an_index_is_of(
    opened: None, settings: Settings, alice: Person
) -> None:
    release = builders.publish_release(alice)
    follow_on(settings)
    api = alice.api()
    found = api.get(f"/api/v1/models/{release.model.full_name}/releases").json()["items"][0]
    assert {item["log"] for item in found["claims"].values()} == {FIRST}
    key = api.get(f"/api/v1/keys/{release.key_id}").json()
    assert (key["log"], key["index"], key["revoked_in_log"]) == (FIRST, 0, None)


# ---------------------------------------------------------------- who may follow


def test_a_second_log_beside_an_open_one_is_refused(opened: None, settings: Settings) -> None:
    move(settings)
    with pytest.raises(LogSuccessionError, match=f"{FIRST} of this installation still takes"):
        ledger.ensure_log()
    assert Log.objects.count() == 1
    assert not settings.LEDGER_KEY.exists()


def test_only_the_named_successor_follows(opened: None, settings: Settings) -> None:
    freeze(NEXT)
    move(settings, "c.example.org")
    with pytest.raises(LogSuccessionError, match=f"named its successor.*{NEXT}"):
        ledger.ensure_log()
    move(settings)
    ledger.ensure_log()
    ledger.ensure_log()
    assert ledger.observed().origin == NEXT


def test_who_follows_unnamed_is_named_by_that(opened: None, settings: Settings) -> None:
    follow_on(settings)
    assert Log.objects.get(origin=FIRST).successor == NEXT


def test_a_log_that_is_not_finished_has_no_successor_yet(opened: None, settings: Settings) -> None:
    append_all(range(2))
    freeze()
    move(settings)
    with pytest.raises(LogSuccessionError, match=r"2 entries have no place.*ledger_freeze"):
        ledger.ensure_log()
    move_back(settings)
    sequence()
    move(settings)
    ledger.ensure_log()


def test_the_old_key_is_not_the_new_logs(opened: None, settings: Settings) -> None:
    freeze()
    old = settings.LEDGER_KEY
    move(settings)
    settings.LEDGER_KEY = old
    with pytest.raises(LogKeyError, match=f"the one of the log {FIRST}, which has ended"):
        ledger.ensure_log()
    assert Log.objects.count() == 1
    move(settings)
    ledger.ensure_log()
    assert isinstance(load_log_key(settings.LEDGER_KEY), Ed25519PrivateKey)


def test_a_third_log_follows_the_second(opened: None, settings: Settings) -> None:
    follow_on(settings)
    third = follow_on(settings, "c.example.org")
    assert third.place == "logs/c.example.org"
    assert parse_trusted_root(ledger.trusted_root()).origins == (FIRST, NEXT, "c.example.org")
    assert list(Log.objects.order_by("pk").values_list("successor", flat=True)) == [
        NEXT,
        "c.example.org",
        "",
    ]
