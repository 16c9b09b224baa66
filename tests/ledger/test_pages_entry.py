"""The pages of one entry, one checkpoint and all logs: plain words, raw bytes, who vouches."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from assay.bundle import MEDIA_TYPE, parse_bundle
from assay.note import VKey
from assay.policy import Group, PolicyKey, TlogPolicy, render_policy
from ledger import services as ledger
from ledger.models import Entry, Leader, Log
from ledger.views.entries import files_of
from tests.ledger.builders import claim, sequence
from tests.ledger.shards import OLD, freeze_one_before, sequence_here
from tests.ledger.witness import Witness, trust, witness


@pytest.fixture
def written(opened: None, wanda: Witness) -> list[int]:
    """Three entries under checkpoint 3, two more under checkpoint 5."""
    ids = [claim(number).append(model="alice/digits") for number in range(3)]
    sequence()
    ids += [claim(number, by="bob").append(model="bob/wine") for number in range(3, 5)]
    sequence()
    return ids


def context(client: Client, path: str, status: int = 200) -> Any:
    answer = client.get(path)
    assert answer.status_code == status
    return answer.context


def text(client: Client, path: str) -> str:
    return " ".join(client.get(path).content.decode().split())


# ---------------------------------------------------------------- an entry


def test_an_entry_shows_statement_bytes_and_proof(client: Client, written: list[int]) -> None:
    found = context(client, "/ledger/1/")
    one = claim(1)
    assert found["raw_payload"] == one.envelope.payload.decode()
    assert found["envelope_json"] == one.envelope.to_json().decode()
    assert found["key_pem"] == one.key.pem
    assert (found["previous"], found["next"]) == (0, 2)
    proof = found["proof"]
    assert (proof["size"], len(proof["hashes"])) == (5, 3)
    assert "localhost\n5\n" in str(found["checkpoint_note"])
    assert '"predicateType": "urn:assay:moderation:v1"' in str(found["statement_json"])
    last = context(client, "/ledger/4/")
    assert (last["previous"], last["next"]) == (3, None)
    assert context(client, "/ledger/0/")["previous"] is None


def test_an_entry_leads_to_its_raw_files_and_they_are_there(
    client: Client, written: list[int]
) -> None:
    pae = claim(1).envelope.pae_sha256.hex()
    shown = text(client, "/ledger/1/")
    for path in (
        "/log/tile/entries/000.p/5",
        "/log/tile/0/000.p/5",
        f"/log/envelopes/{pae}",
        "/api/v1/ledger/entries/1",
        "/ledger/1/bundle",
        "/ledger/1/tlog-proof",
        f"/ledger/?signer={claim(1).key.fingerprint}",
        "/ledger/?model=alice%2Fdigits",
        "/ledger/?owner=alice",
        "/ledger/checkpoints/5/",
    ):
        assert f'href="{path}"' in shown, path
        assert client.get(path).status_code == 200, path


def test_a_bundle_is_named_by_the_width_that_the_checkpoint_gives_it() -> None:
    full = {"bundle": "tile/entries/000", "hashes": "tile/0/000", "place": 255}
    assert files_of(255, 256) == full
    assert files_of(256, 300)["bundle"] == "tile/entries/001.p/44"
    assert files_of(0, 300)["hashes"] == "tile/0/000"


def test_the_bundle_and_the_proof_can_be_taken_along(client: Client, written: list[int]) -> None:
    answer = client.get("/ledger/1/bundle")
    assert answer.headers["Content-Type"] == MEDIA_TYPE
    assert answer.headers["Content-Disposition"] == 'attachment; filename="entry-1.sigstore.json"'
    assert parse_bundle(answer.content).entry.index == 1
    proof = client.get("/ledger/1/tlog-proof")
    assert proof.content == ledger.tlog_proof(written[1])
    assert client.get("/ledger/9/bundle").status_code == 404
    lines = context(client, "/ledger/1/")["verify_lines"]
    assert lines.endswith("assay verify entry-1.sigstore.json --type urn:assay:moderation:v1")


def test_an_entry_that_no_checkpoint_covers_has_no_proof_yet(client: Client, opened: None) -> None:
    Entry.objects.filter(pk=claim(1).append()).update(index=0)
    assert context(client, "/ledger/0/")["proof"] is None
    assert "no published checkpoint covers it yet" in text(client, "/ledger/0/")
    assert client.get("/ledger/0/bundle").status_code == 404


def test_an_entry_that_the_files_do_not_prove_is_shown_and_said_to_be_so(
    client: Client, written: list[int], settings: Settings
) -> None:
    for tile in Path(settings.LEDGER_DIR).glob("tile/0/**/[0-9]*"):
        if tile.is_file():
            tile.unlink()
    found = context(client, "/ledger/1/", status=500)
    assert found["raw_payload"] == claim(1).envelope.payload.decode()
    shown = text(client, "/ledger/1/")
    assert '<span class="status bad">cannot be proved</span>' in shown
    assert "Entry 1 cannot be proved" in shown
    assert "the log's files do not prove now" in shown


def test_an_index_that_is_not_there_is_said_to_be_pending(
    client: Client, written: list[int]
) -> None:
    assert context(client, "/ledger/99/", status=404)["index"] == 99
    assert "The log has 5 entries so far" in text(client, "/ledger/99/")
    assert client.get("/ledger/99999999999999999999/").status_code == 404


def test_a_pending_entry_has_a_page_that_leads_to_its_index(
    client: Client, written: list[int]
) -> None:
    entry = claim(9).append(model="alice/digits")
    assert "raw_payload" in context(client, f"/ledger/pending/{entry}/")
    shown = text(client, f"/ledger/pending/{entry}/")
    assert "waits for its place in the log" in shown
    assert "/ledger/?model=alice%2Fdigits" in shown
    sequence()
    answer = client.get(f"/ledger/pending/{entry}/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/ledger/5/")
    assert client.get("/ledger/pending/0/").status_code == 404


# ---------------------------------------------------------------- logged, witnessed


def test_without_witnesses_an_entry_is_logged_and_no_more(client: Client, opened: None) -> None:
    claim(1).append()
    sequence()
    shown = text(client, "/ledger/0/")
    assert '<span class="status ">logged</span>' in shown
    assert "No witness is asked here" in shown
    assert "no witness asked" in text(client, "/ledger/checkpoints/1/")


def test_a_quorum_makes_it_witnessed_and_says_how_many(client: Client, written: list[int]) -> None:
    shown = text(client, "/ledger/1/")
    assert '<span class="status info">witnessed</span>' in shown
    assert "<strong>1 of 1 witnesses</strong> signed that checkpoint (1 needed)" in shown
    assert "witnessed by 1 of 1" in text(client, "/ledger/checkpoints/")


def several(path: Path, servers: list[Witness], *, threshold: int | None) -> None:
    """Ask these witnesses, of which `threshold` must sign; None needs nobody."""
    keys = {one.name: PolicyKey(vkey=one.vkey, url=one.url) for one in servers}
    groups = {"some": Group(threshold=threshold or 1, members=tuple(keys))}
    quorum = "some" if threshold else "none"
    policy = TlogPolicy(logs=(), witnesses=keys, groups=groups, quorum=quorum)
    path.write_bytes(render_policy(policy))


def test_too_few_witnesses_are_named_as_too_few(
    client: Client, written: list[int], wanda: Witness, log_vkey: VKey, policy_path: Path
) -> None:
    with witness("walter", log_vkey) as walter, witness("wim", log_vkey) as wim:
        several(policy_path, [wanda, walter, wim], threshold=2)
        shown = text(client, "/ledger/1/")
        assert '<span class="status warn">logged, not yet witnessed</span>' in shown
        assert "signed so far by <strong>1 of 3 witnesses</strong>; 2 needed" in shown
        page = text(client, "/ledger/checkpoints/5/")
        assert "1 of 3 witnesses, 2 needed" in page
        assert page.count("has not signed this one") == 2
        several(policy_path, [wanda, walter], threshold=None)
        assert "1 of 2 witnesses signed it, and the policy needs none" in text(client, "/ledger/1/")
        assert "cosigned by 1 of 2, none needed" in text(client, "/ledger/checkpoints/5/")


def test_enough_witnesses_but_not_those_needed_make_no_quorum(
    client: Client, written: list[int], wanda: Witness, log_vkey: VKey, policy_path: Path
) -> None:
    with witness("walter", log_vkey) as walter:
        trust(policy_path, walter, wanda)  # walter must be among them
        assert "1 of 2 witnesses, not those needed" in text(client, "/ledger/checkpoints/5/")


def test_a_witness_that_the_policy_dropped_is_still_shown(
    client: Client, written: list[int], log_vkey: VKey, policy_path: Path
) -> None:
    with witness("walter", log_vkey) as walter:
        trust(policy_path, walter)
        shown = text(client, "/ledger/checkpoints/5/")
    assert 'wanda <span class="status muted">not in the policy</span>' in shown
    assert "0 of 1 witnesses, 1 needed" in shown


def test_the_proof_is_of_the_newest_witnessed_checkpoint(
    client: Client, written: list[int], wanda: Witness, policy_path: Path
) -> None:
    policy = policy_path.read_bytes()
    policy_path.unlink()
    claim(9).append()
    sequence()
    policy_path.write_bytes(policy)
    assert context(client, "/ledger/1/")["proof"]["size"] == 5
    assert context(client, "/ledger/5/")["proof"]["size"] == 6
    assert "logged, not yet witnessed" in text(client, "/ledger/5/")


# ---------------------------------------------------------------- checkpoints


def test_a_checkpoint_shows_its_note_and_who_cosigned_it(
    client: Client, written: list[int], wanda: Witness
) -> None:
    found = context(client, "/ledger/checkpoints/3/")
    assert "— wanda " in str(found["note_text"])
    assert (found["previous"], found["next"], found["growth"]) == (0, 5, 3)
    shown = text(client, "/ledger/checkpoints/3/")
    assert "wanda" in shown
    assert 'href="/ledger/?before=3"' in shown
    assert client.get("/ledger/checkpoints/4/").status_code == 404
    first = context(client, "/ledger/checkpoints/0/")
    assert (first["previous"], first["growth"]) == (None, None)


def test_checkpoints_are_listed_with_their_growth(
    client: Client, written: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def sizes(found: Any) -> list[tuple[int, int | None]]:
        return [(row.checkpoint.size, row.growth) for row in found["rows"]]

    found = context(client, "/ledger/checkpoints/")
    assert sizes(found) == [(5, 2), (3, 3), (0, None)]
    monkeypatch.setattr("ledger.views.checkpoints.PAGE", 1)
    found = context(client, "/ledger/checkpoints/")
    assert (sizes(found), found["older_url"]) == ([(5, 2)], "/ledger/checkpoints/?before=5")
    found = context(client, found["older_url"])
    assert (sizes(found), found["newer_url"]) == ([(3, 3)], "/ledger/checkpoints/?after=3")
    assert sizes(context(client, found["newer_url"])) == [(5, 2)]
    assert "Nothing on this page" in text(client, "/ledger/checkpoints/?after=9")


# ---------------------------------------------------------------- logs


def test_the_logs_page_says_what_to_pin(client: Client, written: list[int]) -> None:
    shown = text(client, "/ledger/logs/")
    assert ledger.log_vkey() in shown
    assert "current" in shown
    assert "frozen" not in shown.replace("it is frozen", "").replace("a frozen log", "")


def test_a_frozen_log_stays_readable_and_names_its_successor(
    client: Client, db: None, settings: Settings, tmp_path: Path
) -> None:
    old = freeze_one_before(settings, tmp_path, range(3))
    entry = Entry.objects.get(pk=claim(7).append())
    sequence_here()
    shown = text(client, "/ledger/logs/")
    assert old.vkey in shown
    assert f'href="/ledger/checkpoints/?log={OLD}"' in shown
    assert shown.index("localhost</h2>") < shown.index(f"{OLD}</h2>")
    page = text(client, f"/ledger/checkpoints/3/?log={OLD}")
    assert "This log is frozen" in page
    assert f'href="/ledger/?log={OLD}&amp;before=3"' in page
    assert client.get("/ledger/checkpoints/3/").status_code == 404
    answer = client.get(f"/ledger/pending/{entry.pk}/")
    assert answer.headers["Location"] == "/ledger/0/"


def test_an_entry_of_a_frozen_log_keeps_its_page_and_its_proof(
    client: Client, db: None, settings: Settings, tmp_path: Path
) -> None:
    settings.ALLOWED_HOSTS = [OLD, "testserver"]
    old = freeze_one_before(settings, tmp_path, range(3))
    page = text(client, f"/ledger/1/?log={OLD}")
    assert f'href="{settings.LEDGER_URL}/tile/entries/000.p/3"' in page
    assert f'href="/ledger/2/?log={OLD}"' in page
    assert f'href="/ledger/?q={claim(1).statement.subjects[0].sha256}&amp;log={OLD}"' in page
    assert f"{OLD}\n3\n" in context(client, f"/ledger/1/?log={OLD}")["checkpoint_note"]
    bundle = parse_bundle(client.get(f"/ledger/1/bundle?log={OLD}").content)
    assert bundle.entry.index == 1
    there = client.get("/ledger/1/", {"log": OLD}, headers={"host": OLD}).content.decode()
    assert 'href="/log/tile/entries/000.p/3"' in there
    entry = Entry.objects.get(log=old, index=1)
    answer = client.get(f"/ledger/pending/{entry.pk}/")
    assert answer.headers["Location"] == f"/ledger/1/?log={OLD}"
    assert client.get("/ledger/1/").status_code == 404


# ---------------------------------------------------------------- how the log fares


def say(state: str, reason: str = "", *, silent_for: timedelta = timedelta()) -> None:
    """Let the log's sequencer have said this, so long ago."""
    heard = timezone.now() - silent_for
    values = {"term": 1, "name": "leader.example 1", "state": state, "reason": reason}
    Leader.objects.update_or_create(
        log=Log.objects.get(), defaults={**values, "since": heard, "beat_at": heard}
    )


PAGES = ("/ledger/", "/ledger/0/", "/ledger/9/", "/ledger/checkpoints/", "/ledger/logs/")
LONG = timedelta(minutes=5)


@pytest.mark.parametrize(
    ("state", "silent_for", "words"),
    [
        ("held", timedelta(), "The log is on hold"),
        ("held", LONG, "No sequencer is running"),
        ("stopped", timedelta(), "The log has stopped"),
        ("stopped", LONG, "The log has stopped"),
        ("leading", LONG, "No sequencer is running"),
    ],
)
def test_every_page_says_when_nothing_is_logged_and_what_that_means(
    client: Client, written: list[int], state: str, silent_for: timedelta, words: str
) -> None:
    say(state, "The disk is full.", silent_for=silent_for)
    for path in PAGES:
        shown = text(client, path)
        assert words in shown, path
        assert "stays verifiable" in shown, path
        assert ("The disk is full." in shown) == (words != "No sequencer is running"), path
        assert "leader.example" not in shown


def test_while_the_log_grows_nothing_is_said(client: Client, written: list[int]) -> None:
    say("leading")
    for path in PAGES:
        assert "stays verifiable with" not in text(client, path)
        assert "No sequencer is running" not in text(client, path)


def test_a_log_that_never_had_a_sequencer_says_so(client: Client, opened: None) -> None:
    shown = text(client, "/ledger/")
    assert "No sequencer is running" in shown
    assert "Last heard of" not in shown
