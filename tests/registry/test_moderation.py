"""Moderators act in the open: one transaction, one signed statement, and nothing else is let in."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.test import Client
from pytest_django import Settings
from typer.testing import CliRunner

from assay.cli import app
from assay.statements import MODERATION, parse_statement
from ledger import services as ledger
from ledger.models import Entry
from registry import moderated
from registry.choices import Act, KeyState, ReportState, Standing, Target
from registry.errors import ConflictError, InvalidInputError, NotAllowedError, RegistryError
from registry.models import (
    AuditEvent,
    Blob,
    Key,
    Letter,
    Model,
    ModerationAction,
    Owner,
    Release,
    Report,
)
from registry.services import keys, moderation, own_key
from tests.ledger.builders import sequence
from tests.people import Person
from tests.registry.moderating import REASON, Things, make_moderator, things_of

UNDO = {Act.HIDE: Act.RESTORE, Act.TAKEDOWN: Act.RESTORE, Act.SUSPEND: Act.REINSTATE}
AGAINST = [
    (act, kind)
    for kind, acts in moderated.ACTS.items()
    for act in acts
    if act in moderated.UNDONE_BY
]


@pytest.fixture
def carol(db: None) -> User:
    return make_moderator()


@pytest.fixture
def things(first: Release) -> Things:
    return things_of(first)


def standing(kind: Target, things: Things, release: Release) -> str:
    rows: dict[Target, Any] = {
        Target.MODEL: Model.objects.filter(pk=release.model_id),
        Target.RELEASE: Release.objects.filter(pk=release.pk),
        Target.FILE: Blob.objects.filter(pk=things.names[Target.FILE]),
        Target.OWNER: Owner.objects.filter(pk=release.model.owner_id),
    }
    if kind in rows:
        return str(rows[kind].values_list("standing", flat=True).get())
    action = moderated.standing_action(kind, things.names[kind])
    return "" if action is None else str(moderated.LEADS_TO[Act(action.act)])


@pytest.mark.parametrize(("act", "kind"), AGAINST)
def test_carol_acts_and_undoes_it_and_both_are_signed_entries(
    act: Act, kind: Target, carol: User, things: Things, first: Release
) -> None:
    done = things.do(carol, act, kind)
    assert standing(kind, things, first) == moderated.LEADS_TO[act]
    undo = UNDO[act]
    if kind == Target.KEY:
        with pytest.raises(InvalidInputError):
            things.do(carol, undo, kind)
        expected = [done]
    else:
        expected = [done, things.do(carol, undo, kind)]
        assert standing(kind, things, first) == Standing.GOOD
    assert [action.number for action in expected] == list(range(1, len(expected) + 1))
    for action in expected:
        statement = parse_statement(bytes(Entry.objects.get(pk=action.entry_id).payload.payload))
        assert statement.predicate_type == MODERATION
        assert statement.predicate["action"] == action.act
        assert (statement.predicate["category"], statement.predicate["reason"]) == (
            action.category,
            action.reason,
        )
        assert statement.digests == (action.sha256,)
        event = AuditEvent.objects.get(action=f"moderation.{action.act}", target=action.name)
        assert event.user == carol


@pytest.mark.parametrize(("act", "kind"), AGAINST)
def test_assay_verify_accepts_the_statement_of_every_act(
    act: Act,
    kind: Target,
    carol: User,
    things: Things,
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    acted = [things.do(carol, act, kind)]
    if kind != Target.KEY:
        acted.append(things.do(carol, UNDO[act], kind))
    sequence()
    pinned = json.loads(client.get("/.well-known/assay/keys.json").content)
    registry = [key for key in pinned["keys"] if key["role"] == "registry"]
    (tmp_path / "registry.pem").write_text(registry[0]["publicKey"])
    (tmp_path / "root.json").write_bytes(ledger.trusted_root())
    (tmp_path / "policy.txt").write_bytes(ledger.witness_policy())
    for action in acted:
        receipt = tmp_path / f"{action.number}.json"
        receipt.write_bytes(ledger.receipt(action.entry_id))
        given = ("--trusted-root", "root.json", "--policy", "policy.txt", "--key", "registry.pem")
        arguments = [str(tmp_path / one) if "." in one else one for one in given]
        found = CliRunner().invoke(
            app, ["verify", str(receipt), "--type", MODERATION, *arguments], catch_exceptions=False
        )
        assert found.exit_code == 0, found.output


def test_a_key_that_carol_ends_counts_below_that_entry(
    carol: User, things: Things, client: Client, first: Release
) -> None:
    done = things.do(carol, Act.SUSPEND, Target.KEY)
    sequence()
    done.entry.refresh_from_db()
    row = Key.objects.get(pk=first.key_id)
    assert (row.state, row.revocation_id) == (KeyState.REVOKED, done.entry_id)
    pinned = json.loads(client.get("/.well-known/assay/keys.json").content)["keys"]
    told = next(key for key in pinned if key["fingerprint"] == first.key_id)
    assert told["revoked"] == done.entry.index


def test_the_registrys_own_key_cannot_end_itself(carol: User, things: Things) -> None:
    fingerprint, _ = own_key.ensure_registry_key()
    with pytest.raises(ConflictError, match="own key"):
        things.do(carol, Act.SUSPEND, Target.KEY, name=fingerprint, typed=fingerprint, seen=0)


# ------------------------------------------------------------------ who, and how


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reason": "too short"}, "10 to"),
        ({"reason": "x" * 2_001}, "10 to"),
        ({"reason": "It is bad.\x07 Really."}, "cannot be read"),
        ({"typed": "alice/doubl"}, "Type the name"),
        ({"act": Act.SUSPEND}, "Nobody can"),
        ({"name": "alice/nothing"}, "no model"),
    ],
)
def test_carols_mistakes_change_nothing(
    changes: dict[str, Any], message: str, carol: User, things: Things
) -> None:
    before = Entry.objects.count()
    own_key.ensure_registry_key()
    with pytest.raises(RegistryError, match=message):
        moderation.act(carol, replace(things.wanted(Act.TAKEDOWN, Target.MODEL), **changes))
    assert ModerationAction.objects.count() == 0
    assert Entry.objects.count() == before + 1  # the registry's key


def test_of_two_moderators_one_is_told_that_the_other_was_faster(
    carol: User, things: Things
) -> None:
    stale = things.wanted(Act.HIDE, Target.MODEL)
    things.do(carol, Act.HIDE, Target.MODEL)
    with pytest.raises(ConflictError, match="already"):
        moderation.act(carol, stale)
    things.do(carol, Act.RESTORE, Target.MODEL)
    with pytest.raises(ConflictError, match="since you looked"):
        moderation.act(carol, stale)


def test_mallory_cannot_act_and_neither_can_staff_without_the_permission(
    things: Things, mallory: Person, alice: Person, admin_user: User
) -> None:
    helper = make_moderator("helper")
    helper.user_permissions.clear()
    helper = User.objects.get(pk=helper.pk)
    retired = make_moderator("retired")
    retired.is_staff = False
    for user in (mallory.user, alice.user, helper, retired):
        with pytest.raises(NotAllowedError):
            things.do(user, Act.HIDE, Target.MODEL)
        with pytest.raises(NotAllowedError):
            moderation.preview(user, things.wanted(Act.HIDE, Target.MODEL))
        with pytest.raises(NotAllowedError):
            moderation.dismiss(user, [], "nothing")
    assert things.do(admin_user, Act.HIDE, Target.MODEL).number == 1


def test_a_preview_is_what_gets_signed_and_signs_nothing(carol: User, things: Things) -> None:
    wanted = things.wanted(Act.TAKEDOWN, Target.RELEASE)
    shown = moderation.preview(carol, wanted)
    assert ModerationAction.objects.count() == 0
    done = moderation.act(carol, wanted)
    signed = parse_statement(bytes(Entry.objects.get(pk=done.entry_id).payload.payload))
    assert shown.statement.predicate["reason"] == signed.predicate["reason"]
    assert shown.statement.subjects == signed.subjects


def test_alice_is_told_by_letter_and_her_readers_reports_are_answered(
    carol: User, things: Things, first: Release
) -> None:
    flag = Report.objects.create(
        kind=Target.MODEL, target=str(first.model_id), name="alice/double", text="Look at it."
    )
    done = things.do(carol, Act.HIDE, Target.MODEL)
    letter = Letter.objects.get(subject__contains="alice/double was hidden")
    assert f"/moderation/{done.number}/" in letter.body
    assert REASON in letter.body
    flag.refresh_from_db()
    assert (flag.state, flag.action, flag.handled_by) == (ReportState.ACTED, done, carol)


# ------------------------------------------------------------------ what the database keeps


def test_a_superuser_with_sql_cannot_take_back_what_was_done(carol: User, things: Things) -> None:
    done = things.do(carol, Act.HIDE, Target.MODEL)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    for sql in (
        "DELETE FROM registry_moderationaction",
        "UPDATE registry_moderationaction SET reason = 'none'",
        "TRUNCATE registry_moderationaction CASCADE",
        "TRUNCATE registry_objection CASCADE",
        "UPDATE registry_model SET standing = ''",
        "UPDATE registry_model SET standing = 'taken_down'",
        "UPDATE registry_release SET standing = 'hidden'",
        "UPDATE registry_blob SET standing = 'hidden'",
        "UPDATE registry_owner SET standing = 'suspended'",
        "DELETE FROM ledger_entry",
    ):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)
    done.refresh_from_db()
    assert done.act == Act.HIDE


def test_an_action_without_its_statement_or_out_of_turn_is_refused(
    carol: User, things: Things, first: Release
) -> None:
    done = things.do(carol, Act.HIDE, Target.MODEL)
    other = first.claims.all()[0].entry_id
    for number, entry in ((2, other), (7, done.entry_id)):
        with pytest.raises(IntegrityError), transaction.atomic():
            ModerationAction.objects.create(
                number=number,
                act=Act.RESTORE,
                kind=done.kind,
                target=done.target,
                name=done.name,
                sha256=done.sha256,
                moderator=carol,
                entry_id=entry,
            )


def test_content_that_comes_back_stands_as_it_stood(carol: User, things: Things) -> None:
    digest = things.names[Target.FILE]
    things.do(carol, Act.TAKEDOWN, Target.FILE)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("DELETE FROM registry_blob WHERE sha256 = %s", [digest])
        cursor.execute("SET LOCAL session_replication_role = origin")
    Blob.objects.create(sha256=digest, size=1, git_sha1="0" * 40)
    assert Blob.objects.get(pk=digest).standing == Standing.TAKEN_DOWN


# ------------------------------------------------------------------ failing writes


@pytest.mark.parametrize("place", ["append", "_write", "_tell"])
@pytest.mark.parametrize("stored", [False, True])
def test_an_act_whose_writing_fails_leaves_nothing_and_is_repeated(
    place: str,
    stored: bool,
    carol: User,
    things: Things,
    first: Release,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
) -> None:
    own_key.ensure_registry_key()
    before = Entry.objects.count()
    home = keys if place == "append" else moderation
    real = getattr(home, place)

    def fail(*args: Any, **named: Any) -> Any:
        if stored:
            real(*args, **named)
        raise OSError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(home, place, fail)
        with pytest.raises(OSError, match="disk"):
            things.do(carol, Act.HIDE, Target.MODEL)
    assert standing(Target.MODEL, things, first) == Standing.GOOD
    assert (ModerationAction.objects.count(), Entry.objects.count()) == (0, before)
    assert not Letter.objects.filter(subject__contains="hidden").exists()
    assert things.do(carol, Act.HIDE, Target.MODEL).number == 1
