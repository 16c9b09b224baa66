"""The audit log: every change has a row, those whose change it is read it, nobody alters it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.db import IntegrityError, transaction

from registry import activity
from registry.choices import Role, Visibility
from registry.errors import InvalidInputError, NotAllowedError, UnknownModelError
from registry.models import AuditEvent, Owner
from registry.services import audit, gates, organisations, releases, transfers
from tests import builders
from tests.people import Person
from tests.registry import calls
from tests.registry.calls import API
from tests.registry.houses import house_model, make_house

SERVICES = Path(audit.__file__).parent
ALL = activity.Filter()
# Modules of services that write rows which are no change of what somebody owns.
QUIET = {
    *("audit", "letters"),  # the log itself, and what tells of changes that have a row
    *("contents", "uploads", "joining", "xet"),  # bytes on their way: the commit has the row
    *("counters", "downloads", "quotas"),  # figures
    "collection",  # content that nobody has any more
    "flags",  # what readers report: the queue is the log of it, and names nobody
    "moderation_targets",  # the change that a moderation makes: `moderation` has the row
}


def _actions(page: activity.Page) -> list[str]:
    return [event.action for event in page.events]


def test_a_change_of_a_model_is_the_owners_to_read(alice: Person, mallory: Person) -> None:
    release = builders.publish_release(alice)
    releases.yank(alice.user, release.model, "1.0.0", reason="a flaw")
    seen = _actions(activity.of_model(alice.user, release.model, ALL))
    assert {"model.create", "revision.commit", "release.publish", "release.yank"} <= set(seen)
    assert seen[0] == "release.yank"
    with pytest.raises(NotAllowedError):
        activity.of_model(mallory.user, release.model, ALL)
    with pytest.raises(NotAllowedError):
        activity.of_owner(mallory.user, alice.owner, ALL)
    gates.set_visibility(alice.user, release.model, visibility=Visibility.PRIVATE)
    release.model.refresh_from_db()
    with pytest.raises(UnknownModelError):
        activity.of_model(mallory.user, release.model, ALL)


@pytest.mark.parametrize("role", [Role.READER, Role.WRITER, Role.PUBLISHER])
def test_only_an_admin_reads_the_log_of_an_organisation(
    role: Role, alice: Person, bob: Person
) -> None:
    acme = make_house(alice, **{role: bob})
    model = house_model(alice, acme)
    with pytest.raises(NotAllowedError):
        activity.of_owner(bob.user, acme, ALL)
    with pytest.raises(NotAllowedError):
        activity.of_model(bob.user, model, ALL)
    assert _actions(activity.of_owner(alice.user, acme, ALL)) == [
        "model.create",
        "member.accept",
        "member.invite",
        "owner.create",
    ]


def test_a_row_knows_whose_change_it_was(alice: Person, bob: Person) -> None:
    acme = make_house(alice)
    model = house_model(alice, acme)
    audit.note(alice.user, "test.model", model.full_name)
    audit.note(alice.user, "test.unknown", "acme/nothing")
    revision = builders.make_revision(alice)
    audit.note(None, "test.revision", revision.pk)
    key = builders.make_key(bob)
    audit.note(None, "test.key", key.fingerprint)
    audit.note(None, "test.nobody", "0" * 64)
    audit.note(None, "test.none", "0" * 40)
    found = {
        row.action.removeprefix("test."): (row.owner, row.model)
        for row in AuditEvent.objects.filter(action__startswith="test.")
    }
    assert found == {
        "model": (acme, model),
        "unknown": (alice.owner, None),
        "revision": (alice.owner, revision.model),
        "key": (bob.owner, None),
        "nobody": (None, None),
        "none": (None, None),
    }


def test_a_person_reads_what_they_did_elsewhere(alice: Person, bob: Person) -> None:
    acme = make_house(alice, writer=bob)
    house_model(bob, acme)
    assert _actions(activity.of_owner(bob.user, bob.owner, ALL)) == [
        "model.create",
        "member.accept",
        "owner.create",
    ]


def test_after_a_transfer_both_owners_read_their_part(alice: Person, bob: Person) -> None:
    model = builders.make_model(alice)
    transfers.accept(bob.user, transfers.offer(alice.user, model, to="bob").pk)
    bobs = activity.of_owner(bob.user, Owner.objects.get(pk=bob.owner.pk), ALL)
    assert "model.arrive" in _actions(bobs)
    assert "transfer.accept" in _actions(activity.of_owner(alice.user, alice.owner, ALL))
    model.refresh_from_db()
    assert "model.create" in _actions(activity.of_model(bob.user, model, ALL))


def test_the_log_is_filtered_and_comes_in_pages(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = make_house(alice, admin=bob)
    organisations.describe(bob.user, acme, title="Acme")
    page = activity.of_owner(alice.user, acme, activity.Filter(action="member"))
    assert _actions(page) == ["member.accept", "member.invite"]
    assert _actions(activity.of_owner(alice.user, acme, activity.Filter(action="memb"))) == []
    page = activity.of_owner(alice.user, acme, activity.Filter(by="BOB"))
    assert _actions(page) == ["owner.title", "member.accept"]
    first = AuditEvent.objects.filter(owner=acme).earliest("pk").created_at
    assert _actions(activity.of_owner(alice.user, acme, activity.Filter(until=first))) == []
    assert len(activity.of_owner(alice.user, acme, activity.Filter(since=first)).events) == 4
    monkeypatch.setattr(activity, "PAGE", 3)
    page = activity.of_owner(alice.user, acme, ALL)
    rest = activity.of_owner(alice.user, acme, ALL, page.next)
    assert _actions(page) + _actions(rest) == [
        "owner.title",
        "member.accept",
        "member.invite",
        "owner.create",
    ]
    assert rest.next == ""
    with pytest.raises(InvalidInputError):
        activity.of_owner(alice.user, acme, ALL, "x")


def test_nobody_alters_the_log(alice: Person) -> None:
    for change in (
        lambda: AuditEvent.objects.update(action="nothing"),
        lambda: AuditEvent.objects.update(owner=None),
        lambda: AuditEvent.objects.all().delete(),
    ):
        with pytest.raises(IntegrityError, match="history"), transaction.atomic():
            change()


def test_all_of_it_over_rest(alice: Person, bob: Person, mallory: Person) -> None:
    make_house(alice)
    builders.make_model(alice)
    api = alice.api()
    own = api.get(f"{API}/activity").json()
    assert {row["action"] for row in own["items"]} >= {"owner.create", "model.create"}
    row = api.get(f"{API}/activity?model=alice/double&action=model").json()["items"][0]
    assert (row["action"], row["by"], row["model"]) == ("model.create", "alice", "alice/double")
    rows = api.get(f"{API}/activity?owner=acme&since=2026-01-01T00:00:00&by=alice").json()
    assert [row["owner"] for row in rows["items"]] == ["acme"]
    for wrong in ("since=yesterday", "until=2026-13-40T00:00:00Z", "cursor=x"):
        assert calls.error(api.get(f"{API}/activity?{wrong}")) == (400, "invalid_input")
    refused = mallory.api().get(f"{API}/activity?owner=acme")
    assert calls.error(refused) == (403, "not_allowed")
    refused = alice.api("publish").get(f"{API}/activity")
    assert calls.error(refused) == (403, "not_allowed")
    assert mallory.api().get(f"{API}/activity?owner=nobody").status_code == 404


_WRITES = re.compile(
    r"\.(?:objects\.(?:create|bulk_create|update_or_create|get_or_create)|save|update|delete)\("
)


def test_every_service_that_writes_notes_it() -> None:
    """A service that writes rows and never notes a change is one that somebody forgot."""
    silent = {
        path.stem
        for path in SERVICES.glob("*.py")
        if _WRITES.search(text := path.read_text("utf-8")) and "audit.note(" not in text
    }
    assert silent - QUIET == set()
