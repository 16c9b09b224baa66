"""Taking one's data away: a ZIP that is made while it is sent, and says everything but secrets."""

from __future__ import annotations

import io
import json
import tracemalloc
import zipfile
from collections.abc import Iterator
from hashlib import shake_128
from typing import Any

import pytest
from django.http import StreamingHttpResponse
from django.test import Client

from assay.bundle import parse_bundle
from inference.services.submit import submit
from ledger import services as ledger
from registry.belongings import Part
from registry.choices import Act, Target
from registry.models import Appeal, AuditEvent, Report
from registry.services import export, keys, models, objections, organisations
from tests import builders
from tests.inference.builders import fp32, plan, publish
from tests.inference.executor.models import add
from tests.ledger.builders import sequence
from tests.people import Person
from tests.registry.houses import make_house
from tests.registry.moderating import Things, make_moderator
from tests.registry.test_closing import COPY, INPUTS, browser

PAGE = "/settings/export/"


def taken(client: Client) -> zipfile.ZipFile:
    """Return what the page sends."""
    answer: Any = client.post(PAGE)
    assert isinstance(answer, StreamingHttpResponse)
    assert answer["Content-Type"] == "application/zip"
    assert "no-store" in answer["Cache-Control"]
    return zipfile.ZipFile(io.BytesIO(answer.getvalue()))


def lines(archive: zipfile.ZipFile, path: str) -> list[Any]:
    return [json.loads(line) for line in archive.read(path).splitlines()]


def test_alice_takes_away_everything_that_is_hers(alice: Person, bob: Person) -> None:
    key = builders.make_key(alice)
    keys.backup(alice.user, key.fingerprint, **COPY)
    builders.publish_release(alice, key=key)
    make_house(bob, reader=alice)
    organisations.describe(alice.user, alice.owner, title="Alice Liddell")
    sequence()
    archive = taken(browser(alice))
    assert archive.testzip() is None
    account = json.loads(archive.read("account.json"))
    assert (account["userName"], account["fullName"]) == ("alice", "Alice Liddell")
    assert [one["name"] for one in lines(archive, "models.jsonl")] == ["alice/double"]
    (release,) = lines(archive, "releases.jsonl")
    assert release["version"] == "1.0.0"
    assert [one["owner"] for one in lines(archive, "memberships.jsonl")] == ["acme"]
    assert "owner.title" in {one["action"] for one in lines(archive, "activity.jsonl")}
    assert f"keys/{key.fingerprint}/key.pem" in archive.namelist()
    kept = json.loads(archive.read(f"wrapped-keys/{key.fingerprint}.json"))
    assert bytes.fromhex(kept["wrapped"]) == b"w" * 154


def test_each_signed_statement_is_a_bundle_that_can_be_checked(alice: Person) -> None:
    release = builders.publish_release(alice)
    sequence()
    archive = taken(browser(alice))
    folder = "releases/alice/double/1.0.0"
    found = [name for name in archive.namelist() if name.startswith(folder)]
    assert sorted(found) == [
        f"{folder}/card.sigstore.json",
        f"{folder}/model.sig",
        f"{folder}/release.sigstore.json",
    ]
    for name in found:
        assert parse_bundle(archive.read(name)).entry is not None
    assert f"keys/{release.key_id}/registered.sigstore.json" in archive.namelist()


def test_what_waits_for_its_place_is_named_and_left_out(alice: Person) -> None:
    builders.publish_release(alice)
    archive = taken(browser(alice))
    (release,) = lines(archive, "releases.jsonl")
    indices = [one["index"] for one in release["statements"]]
    there = [name for name in archive.namelist() if name.startswith("releases/")]
    assert len(there) == len([index for index in indices if index is not None])


def test_what_alice_ran_is_in_it_with_its_receipt(alice: Person) -> None:
    ledger.ensure_log()
    publish(alice, "add", add())
    asked = submit(plan("alice/add", [fp32("x", 3.0)], limit_s=900, user=alice.user)).execution
    hook = {"url": "https://hooks.example.org/alice"}
    assert alice.api().post("/api/v1/webhooks", hook, format="json").status_code == 201
    wish = {"model": "alice/add", "interval_s": 3600, "inputs": INPUTS}
    assert alice.api().post("/api/v1/schedules", wish, format="json").status_code == 201
    archive = taken(browser(alice))
    (run,) = lines(archive, "executions.jsonl")
    assert (run["id"], run["state"], run["receipt"]) == (str(asked.pk), "queued", None)
    assert run["inputSha256"] == asked.input_id
    assert [one["intervalS"] for one in lines(archive, "schedules.jsonl")] == [3600]
    assert [one["url"] for one in lines(archive, "webhooks.jsonl")] == [hook["url"]]


def test_lists_that_are_longer_than_a_step_are_whole(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "STEP", 2)
    for number in range(5):
        builders.make_model(alice, f"m{number}")
    archive = taken(browser(alice))
    assert [one["name"] for one in lines(archive, "models.jsonl")] == [
        f"alice/m{number}" for number in range(5)
    ]


def test_what_alice_wrote_to_moderators_and_what_was_written_to_her_is_in_it(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "STEP", 1)
    release = builders.publish_release(alice)
    draft = builders.make_revision(alice, release.model, {"words.txt": b"Words."}, report=None)
    Report.objects.create(
        kind="owner", name="bob", text="He is rude.", email="a@example.org", user=alice.user
    )
    done = Things(names={Target.OWNER: "alice"}).do(make_moderator(), Act.SUSPEND, Target.OWNER)
    objections.ask(alice.user, done, "It was somebody else.")
    Appeal.objects.create(revision=draft, user=alice.user, text="It is a good graph.")
    archive = taken(browser(alice))
    (report,) = lines(archive, "reports.jsonl")
    assert (report["text"], report["email"]) == ("He is rude.", "a@example.org")
    (appeal,) = lines(archive, "appeals.jsonl")
    assert (appeal["action"], appeal["text"]) == (1, "It was somebody else.")
    assert lines(archive, "inspection-appeals.jsonl")[0]["text"] == "It is a good graph."
    assert "alice was suspended" in {one["subject"] for one in lines(archive, "letters.jsonl")}
    found = {one["id"] for one in lines(archive, "revisions.jsonl")}
    assert found == {release.revision_id, draft.pk}


def test_no_secret_and_nothing_of_somebody_else_is_in_it(alice: Person, bob: Person) -> None:
    token, theirs = alice.token(), builders.publish_release(bob)
    models.create(bob.user, name="secret", visibility="private")
    sequence()
    client = browser(alice)
    archive = taken(client)
    whole = b"".join(archive.read(name) for name in archive.namelist())
    for secret in (
        token.encode(),
        alice.user.password.encode(),
        client.cookies["sessionid"].value.encode(),
        b"bob@example.org",
        b"bob/secret",
        theirs.key_id.encode(),
    ):
        assert secret not in whole


def test_an_archive_is_never_whole_in_memory(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "parts", lambda _: iter([Part(path="big", chunks=_noise())]))
    tracemalloc.start()
    sizes = [len(piece) for piece in export.archive(alice.user)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(sizes) > 32 * 2**20
    assert max(sizes) < 2**20
    assert peak < 8 * 2**20


def _noise() -> Iterator[bytes]:
    """Yield 40 MiB that no compression makes smaller."""
    for number in range(640):
        yield shake_128(number.to_bytes(2, "big")).digest(2**16)


def test_exporting_is_noted_and_not_done_all_day(alice: Person) -> None:
    client = browser(alice)
    for _ in range(export.MOST):
        taken(client)
    assert AuditEvent.objects.filter(action="account.export").count() == export.MOST
    told = client.post(PAGE, follow=True).content.decode()
    assert "come back later" in told


def test_whoever_found_an_open_browser_is_asked_who_they_are(alice: Person) -> None:
    answer = browser(alice, again=False).post(PAGE)
    assert answer["Location"].startswith("/accounts/reauthenticate/?next=")
