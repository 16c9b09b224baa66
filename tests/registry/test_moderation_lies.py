"""Moderators who judge their own, owners who come too late, and content that leaks past an act."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from inference import selectors as executions
from inference.choices import ExecutionState
from inference.ids import uuid7
from inference.models import Execution
from registry import moderated
from registry.choices import Act, Category, ObjectionState, ReportState, Target
from registry.errors import (
    ConflictError,
    InvalidInputError,
    NotAllowedError,
    SuspendedError,
    TooManyReportsError,
    UnknownFileError,
)
from registry.models import AuditEvent, Model, ModerationAction, Release, Report
from registry.services import differences, flags, moderation, objections, revisions, transfers
from registry.tasks import sweep_accounts
from tests import builders
from tests.flush import triggers_off
from tests.ledger.builders import sequence
from tests.people import Person, make_person
from tests.registry import executing
from tests.registry.alias_calls import another
from tests.registry.houses import make_house
from tests.registry.moderating import REASON, Things, make_moderator, things_of
from tests.registry.test_moderation_matrix import form, signed_in

TEXT = "It is my own work: see the paper that the card names."
ANY = {"accept": "*/*"}


@pytest.fixture
def carol(db: None) -> User:
    return make_moderator("carol")


@pytest.fixture
def things(first: Release) -> Things:
    return things_of(first)


@pytest.fixture
def erin(opened: None) -> Person:
    """A moderator who publishes models too."""
    person = make_person("erin")
    person.user.is_staff = True
    person.user.save()
    person.user.user_permissions.add(Permission.objects.get(codename="moderate"))
    return Person(user=User.objects.get(pk=person.user.pk), owner=person.owner)


# ------------------------------------------------------------------ judges in their own cause


@pytest.mark.parametrize("kind", [Target.MODEL, Target.RELEASE, Target.FILE, Target.OWNER])
def test_erin_undoes_nothing_that_was_done_to_what_is_hers(
    kind: Target, carol: User, erin: Person
) -> None:
    hers = things_of(builders.publish_release(erin))
    act = Act.SUSPEND if kind == Target.OWNER else Act.HIDE
    undo = moderated.UNDONE_BY[act]
    things = Things(names={kind: hers.names[kind]})
    things.do(carol, act, kind)
    with pytest.raises((NotAllowedError, SuspendedError)):
        things.do(erin.user, undo, kind)
    with pytest.raises((NotAllowedError, SuspendedError)):
        moderation.preview(erin.user, things.wanted(undo, kind))
    assert ModerationAction.objects.count() == 1
    things.do(carol, undo, kind)


def test_erin_who_is_suspended_moderates_nobody(carol: User, erin: Person, things: Things) -> None:
    Things(names={Target.OWNER: "erin"}).do(carol, Act.SUSPEND, Target.OWNER)
    with pytest.raises(SuspendedError):
        things.do(erin.user, Act.HIDE, Target.MODEL)
    with pytest.raises(SuspendedError):
        moderation.dismiss(erin.user, [], "nothing")


def test_erin_decides_no_appeal_of_her_own_nor_of_her_house(
    carol: User, erin: Person, alice: Person
) -> None:
    builders.publish_release(erin)
    make_house(alice, admin=erin)
    for kind, name, owner in (
        (Target.MODEL, "erin/double", erin),
        (Target.OWNER, "acme", alice),
    ):
        act = Act.SUSPEND if kind == Target.OWNER else Act.HIDE
        done = Things(names={kind: name}).do(carol, act, kind)
        asked = objections.ask(owner.user, moderated.find_action(done.number), TEXT)
        for state in (ObjectionState.GRANTED, ObjectionState.UPHELD):
            with pytest.raises(NotAllowedError, match="yours"):
                objections.decide(erin.user, asked, state, REASON, seen=done.number)
        place = f"/admin/registry/objection/{asked.pk}/change/"
        assert "or it is yours" in signed_in(erin.user).get(place).content.decode()


def test_erin_dismisses_no_report_about_what_is_hers(carol: User, erin: Person) -> None:
    release = builders.publish_release(erin)
    rows = [
        Report.objects.create(kind=Target.MODEL, target=str(release.model_id), name="erin/double"),
        Report.objects.create(kind=Target.OWNER, target=str(erin.owner.pk), name="erin"),
    ]
    make_house(erin)
    transfers.offer(erin.user, release.model, to="acme")  # another name does not help her
    for row in rows:
        with pytest.raises(NotAllowedError, match="yours"):
            moderation.dismiss(erin.user, [row], "It is good work.")
    assert moderation.dismiss(carol, rows, "Nothing is wrong with it.") == 2


def test_a_report_is_dismissed_once_and_noted_once(carol: User, things: Things) -> None:
    dave = make_moderator("dave")
    row = Report.objects.create(kind=Target.MODEL, target="1", name="alice/gone")
    assert moderation.dismiss(carol, [row], "It is gone.") == 1
    assert moderation.dismiss(dave, [row], "I was late.") == 0
    assert AuditEvent.objects.get(action="report.dismiss").user == carol
    row.refresh_from_db()
    assert (row.state, row.note) == (ReportState.DISMISSED, "It is gone.")


def test_an_appeal_undoes_what_it_is_against_and_nothing_that_was_done_since(
    carol: User, things: Things, alice: Person
) -> None:
    dave, fred = make_moderator("dave"), make_moderator("fred")
    hidden = things.do(carol, Act.HIDE, Target.MODEL)
    asked = objections.ask(alice.user, moderated.find_action(hidden.number), TEXT)
    down = things.do(dave, Act.TAKEDOWN, Target.MODEL)
    with pytest.raises(ConflictError, match="Action 2 came after"):
        objections.decide(fred, asked, ObjectionState.GRANTED, REASON, seen=down.number)
    objections.decide(fred, asked, ObjectionState.UPHELD, REASON, seen=down.number)


def test_mallory_who_takes_a_file_in_after_the_act_does_not_use_up_its_appeal(
    carol: User, things: Things, alice: Person, mallory: Person
) -> None:
    done = moderated.find_action(things.do(carol, Act.HIDE, Target.FILE).number)
    builders.make_revision(mallory, builders.make_model(mallory, "copy"))
    assert not objections.may_ask(mallory.user, done)
    assert objections.may_ask(alice.user, done)


def test_a_number_that_is_far_too_long_is_told_and_does_nothing(
    carol: User, things: Things
) -> None:
    sent = {**form(Act.HIDE, Target.MODEL, things), "seen": "9" * 5_000}
    assert signed_in(carol).post("/admin/registry/moderationaction/act/", sent).status_code == 409
    assert ModerationAction.objects.count() == 0


def test_a_report_about_a_model_that_moved_shows_it_under_its_name_of_today(
    carol: User, things: Things, alice: Person, first: Release
) -> None:
    row = Report.objects.create(
        kind=Target.MODEL, target=str(first.model_id), name="alice/double", text=TEXT
    )
    make_house(alice)
    transfers.offer(alice.user, first.model, to="acme")
    page = signed_in(carol).get(f"/admin/registry/report/{row.pk}/change/").content.decode()
    assert "name=acme%2Fdouble&amp;act=hide" in page


# ------------------------------------------------------------------ what leaks past an act


@pytest.mark.parametrize("act", [Act.HIDE, Act.TAKEDOWN])
@pytest.mark.parametrize("kind", [Target.MODEL, Target.RELEASE, Target.FILE])
def test_mallory_gets_no_stopped_content_by_naming_its_digest_in_a_model_of_hers(
    act: Act, kind: Target, carol: User, things: Things, mallory: Person
) -> None:
    digest = things.names[Target.FILE]  # which the release's statement tells everybody
    things.do(carol, act, kind)
    trap = builders.make_model(mallory, "trap")
    with pytest.raises(UnknownFileError):
        revisions.commit(mallory.user, trap, files=[("model.onnx", digest)], parent=None)


def test_bob_goes_on_in_a_hidden_model_that_he_may_write_to(
    carol: User, alice: Person, bob: Person, opened: None
) -> None:
    make_house(alice, writer=bob)
    release = builders.publish_release(alice)
    transfers.offer(alice.user, release.model, to="acme")
    Things(names={Target.MODEL: "acme/double"}).do(carol, Act.HIDE, Target.MODEL)
    files = dict(release.revision.files.values_list("path", "blob_id"))
    files["more.txt"] = builders.store_blob(b"More.", bob.user).sha256
    model = Model.objects.get(pk=release.model_id)
    made = revisions.commit(bob.user, model, files=sorted(files.items()), parent=model.head_id)
    assert made.files.count() == 3


def test_the_texts_of_a_hidden_release_are_not_told_by_comparing_it(
    carol: User, things: Things, first: Release, second: Release, client: Client
) -> None:
    found = differences.compare(first.revision, second.revision)
    found.new.model = first.model
    assert differences.texts(found, None) != []
    things.do(carol, Act.HIDE, Target.RELEASE)
    assert differences.texts(found, None) == []
    place = "/api/v1/models/alice/double/differences?from=1.0.0&to=2.0.0&text=1"
    assert client.get(place).json()["texts"] == []


def test_nothing_around_a_release_that_was_taken_down_tells_what_was_in_it(
    carol: User, alice: Person, opened: None, client: Client, settings: Settings
) -> None:
    settings.HUB_CALLS = 0
    card = b"---\nlicense: mit\ntags: [slander]\n---\n# Slander\n\nSlander.\n"
    files = {"model.onnx": builders.ONNX, "README.md": card, "slander.txt": b"Slander."}
    release = builders.publish_release(alice, builders.make_revision(alice, files=files))
    _note(release, "Slander of a neighbour.")
    things = Things(names={Target.RELEASE: "alice/double@1.0.0"})
    lists = ("/models/alice/double/releases/", "/api/v1/models/alice/double/releases")
    hub = "/hf/api/models?filter=slander"
    assert all("lander" in client.get(path, headers=ANY).content.decode() for path in lists)
    assert len(client.get(hub).json()) == 1
    things.do(carol, Act.TAKEDOWN, Target.RELEASE)
    assert client.get(hub).json() == []
    (one,) = client.get("/hf/api/models?author=alice").json()
    assert one["cardData"] == {}
    another(alice, release, "2.0.0")
    for path in (*lists, "/models/alice/double/releases/2.0.0/"):
        answer = client.get(path, headers=ANY)
        assert answer.status_code == 200
        assert "lander" not in answer.content.decode(), path


def _note(release: Release, notes: str) -> None:
    with triggers_off():
        Release.objects.filter(pk=release.pk).update(notes=notes)


@pytest.mark.parametrize("kind", [Target.MODEL, Target.RELEASE, Target.EXECUTION])
def test_the_first_page_shows_no_example_that_moderators_stopped(
    kind: Target, carol: User, first: Release
) -> None:
    things = things_of(first)
    sequence()
    row = Execution.objects.get(pk=things.names[Target.EXECUTION])
    assert executions.newest_example() == row
    things.do(carol, Act.HIDE, kind)
    assert executions.newest_example() is None
    things.do(carol, Act.RESTORE, kind)
    assert executions.newest_example() == row


# ------------------------------------------------------------------ reports


def given(**changes: Any) -> flags.Given:
    fields: dict[str, Any] = {
        "kind": Target.OWNER,
        "name": "alice",
        "category": Category.ABUSE,
        "text": TEXT,
        "stamp": flags.stamp(timezone.now() - timedelta(minutes=1)),
    }
    return flags.Given(**{**fields, **changes})


def test_mallory_is_not_told_by_a_report_that_a_private_run_is_there(
    alice: Person, mallory: Person, opened: None
) -> None:
    model = builders.make_model(alice, "secret", "private")
    revision, run = builders.make_revision(alice, model), uuid7()
    failed = {"state": ExecutionState.FAILED, "error_code": "broken"}
    executing._row(revision, run, None, caller=alice.user, **failed)
    asked = given(kind=Target.EXECUTION, name=str(run))
    for user in (None, mallory.user):
        with pytest.raises(InvalidInputError, match="no such execution"):
            flags.report(user, asked, address="192.0.2.1")
    assert flags.report(alice.user, asked, address="192.0.2.2") is not None


def test_each_ipv4_address_counts_alone_however_it_is_spelled(alice: Person) -> None:
    one, two = "::ffff:192.0.2.1", "::ffff:192.0.2.2"
    assert flags.origin_of(one) == flags.origin_of("192.0.2.1")
    assert flags.origin_of(one) != flags.origin_of(two)


@pytest.mark.parametrize("address", ["", "unix:", "192.0.2.1:4711"])
def test_a_flood_from_where_no_address_can_be_read_ends_too(
    address: str, alice: Person, bob: Person, settings: Settings
) -> None:
    settings.REPORT_RATE = 1
    flags.report(None, given(), address=address)
    with pytest.raises(TooManyReportsError):
        flags.report(None, given(name="bob"), address=address)


def test_the_place_that_a_report_came_from_is_forgotten_though_nobody_reports_again(
    alice: Person,
) -> None:
    row = flags.report(None, given(), address="192.0.2.1")
    assert row is not None
    sweep_accounts()
    assert Report.objects.exclude(origin="").count() == 1
    Report.objects.update(created_at=timezone.now() - timedelta(days=1, seconds=1))
    sweep_accounts()
    assert Report.objects.exclude(origin="").count() == 0
