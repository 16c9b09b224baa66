"""The one table: every role, every scope, every action, and what mallory may not."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser

from registry import selectors
from registry.choices import Action, Role, TokenScope, Visibility
from registry.errors import (
    GatedError,
    NotAllowedError,
    UnknownModelError,
    UnknownRevisionError,
)
from registry.models import ApiToken, Model, TokenLimit
from registry.rights import ROLES, can, carry, fetchable, need, owned, readable, sees_drafts
from registry.services import gates, models, organisations
from tests import builders
from tests.people import Person
from tests.registry.houses import house_model, join, make_house

ABOVE = {
    Role.READER: {Action.READ, Action.FILES},
    Role.WRITER: {Action.READ, Action.FILES, Action.WRITE},
    Role.PUBLISHER: {Action.READ, Action.FILES, Action.WRITE, Action.RELEASE, Action.ALIAS},
    Role.ADMIN: set(Action),
}


def _with(person: Person, scope: str, *reached: object) -> Person:
    row, _ = ApiToken.objects.create(person.user, name="t", scope=scope, limited=bool(reached))
    for one in reached:
        field = "model" if isinstance(one, Model) else "owner"
        TokenLimit.objects.create(token=row, **{field: one})
    person.user.refresh_from_db()
    carry(person.user, row)
    return person


@pytest.mark.parametrize("role", list(Role))
def test_a_member_does_what_the_role_says_and_no_more(
    role: Role, alice: Person, bob: Person
) -> None:
    acme = make_house(alice, **{role: bob})
    model = house_model(alice, acme, visibility=Visibility.PRIVATE)
    for action in Action:
        assert can(bob.user, action, model) is (action in ABOVE[role]), action
        hidden = action in ABOVE[role] and action != Action.FILES
        assert can(bob.user, action, acme) is (hidden or action in ABOVE[role]), action


def test_mallory_may_do_nothing_and_learns_nothing_of_a_private_model(
    alice: Person, bob: Person, mallory: Person
) -> None:
    acme = make_house(alice, admin=bob)
    hers = builders.make_model(alice, "secret", Visibility.PRIVATE)
    theirs = house_model(alice, acme, visibility=Visibility.PRIVATE)
    for model in (hers, theirs):
        for action in Action:
            for stranger in (mallory.user, AnonymousUser(), None):
                assert not can(stranger, action, model)
                with pytest.raises(UnknownModelError):
                    need(stranger, action, model)
        assert not Model.objects.filter(readable(mallory.user), pk=model.pk).exists()
        assert Model.objects.filter(readable(alice.user), pk=model.pk).exists()


def test_mallory_reads_what_is_public_and_changes_nothing(alice: Person, mallory: Person) -> None:
    model = builders.make_model(alice)
    for action in Action:
        free = action in (Action.READ, Action.FILES)
        assert can(mallory.user, action, model) is free
        assert can(None, action, model) is free
        if not free:
            with pytest.raises(NotAllowedError, match="Only alice may do this"):
                need(mallory.user, action, model)


def test_of_a_gated_model_everybody_reads_the_page_alone(
    alice: Person, bob: Person, mallory: Person
) -> None:
    model = builders.make_model(alice, visibility=Visibility.GATED)
    gates.ask(bob.user, model, reason="a study")
    assert can(bob.user, Action.READ, model)
    with pytest.raises(GatedError):
        need(bob.user, Action.FILES, model)
    gates.approve(alice.user, model, name="bob")
    assert can(bob.user, Action.FILES, model)
    assert not can(bob.user, Action.WRITE, model)
    assert not can(mallory.user, Action.FILES, model)
    for person, known in ((bob, True), (mallory, False), (alice, True)):
        rows = Model.objects.filter(fetchable(person.user), pk=model.pk)
        assert rows.exists() is known
    assert not Model.objects.filter(fetchable(None), pk=model.pk).exists()
    # What was approved for a gate opens no private door.
    gates.set_visibility(alice.user, model, visibility=Visibility.PRIVATE)
    model.refresh_from_db()
    assert not can(bob.user, Action.READ, model)
    assert not can(bob.user, Action.FILES, model)


def test_an_invitation_gives_no_right_before_it_is_accepted(alice: Person, bob: Person) -> None:
    acme = make_house(alice)
    model = house_model(alice, acme, visibility=Visibility.PRIVATE)
    organisations.invite(alice.user, acme, name="bob", role=Role.ADMIN)
    assert not any(can(bob.user, action, model) for action in Action)
    organisations.accept(bob.user, acme)
    assert all(can(bob.user, action, model) for action in Action)


def test_a_right_ends_with_the_membership(alice: Person, bob: Person) -> None:
    acme = make_house(alice, publisher=bob)
    model = house_model(alice, acme)
    assert can(bob.user, Action.RELEASE, model)
    organisations.remove(alice.user, acme, name="bob")
    with pytest.raises(NotAllowedError, match="role 'publisher' in acme"):
        need(bob.user, Action.RELEASE, model)


@pytest.mark.parametrize("scope", list(TokenScope))
def test_a_token_does_what_its_scope_says_and_no_more(scope: TokenScope, alice: Person) -> None:
    model = builders.make_model(alice, "secret", Visibility.PRIVATE)
    role = dict(zip(TokenScope, Role, strict=True))[scope]
    _with(alice, scope)
    for action in Action:
        assert can(alice.user, action, model) is (action in ROLES[role]), action
        found = Model.objects.filter(owned(alice.user, action), pk=model.pk)
        assert found.exists() is (action in ROLES[role]), action
    if scope != TokenScope.ADMIN:
        with pytest.raises(NotAllowedError, match="scope 'admin'"):
            need(alice.user, Action.DELETE, model)


def test_a_limited_token_reaches_only_its_limits(alice: Person) -> None:
    acme = make_house(alice)
    inside = house_model(alice, acme, "inside", visibility=Visibility.PRIVATE)
    outside = builders.make_model(alice, "outside", Visibility.PRIVATE)
    public = builders.make_model(alice, "public")
    _with(alice, TokenScope.ADMIN, acme)
    assert can(alice.user, Action.DELETE, inside)
    assert can(alice.user, Action.WRITE, acme)
    assert not can(alice.user, Action.READ, outside)
    assert not can(alice.user, Action.WRITE, alice.owner)
    assert can(alice.user, Action.READ, public)
    with pytest.raises(NotAllowedError, match="limited"):
        need(alice.user, Action.WRITE, public)
    assert set(Model.objects.filter(readable(alice.user))) == {inside, public}
    assert set(Model.objects.filter(fetchable(alice.user))) == {inside, public}


def test_a_token_of_one_model_makes_no_other(alice: Person) -> None:
    model = builders.make_model(alice)
    _with(alice, TokenScope.WRITE, model)
    assert can(alice.user, Action.WRITE, model)
    with pytest.raises(NotAllowedError):
        models.create(alice.user, name="another")


def test_a_limited_token_takes_no_gated_files_elsewhere(alice: Person, bob: Person) -> None:
    model = builders.make_model(alice, visibility=Visibility.GATED)
    gates.ask(bob.user, model, reason="a study")
    gates.approve(alice.user, model, name="bob")
    _with(bob, TokenScope.READ, bob.owner)
    assert not can(bob.user, Action.FILES, model)
    assert not Model.objects.filter(fetchable(bob.user), pk=model.pk).exists()


def test_nobody_does_anything_with_what_is_deleted(alice: Person) -> None:
    acme = make_house(alice)
    model = house_model(alice, acme)
    organisations.delete(alice.user, acme)
    model.refresh_from_db()
    acme.refresh_from_db()
    assert not any(can(alice.user, action, model) for action in Action)
    assert not can(alice.user, Action.WRITE, acme)
    with pytest.raises(UnknownModelError):
        selectors.find_model("acme/double", alice.user)


def test_content_of_an_organisation_is_usable_by_its_members_only(
    alice: Person, bob: Person, mallory: Person
) -> None:
    acme = make_house(alice, writer=bob)
    model = house_model(alice, acme, visibility=Visibility.PRIVATE)
    revision = builders.make_revision(alice, model, {"a.txt": b"theirs alone", "README.md": b"x"})
    digest = revision.files.get(path="a.txt").blob_id
    assert selectors.usable(bob.user, [digest]) == {digest}
    assert selectors.usable(mallory.user, [digest]) == set()
    carol_reads = make_house(alice, "other")
    join(alice, carol_reads, mallory)
    assert selectors.usable(mallory.user, [digest]) == set()


def test_a_reading_token_of_a_writer_knows_of_drafts(
    alice: Person, bob: Person, mallory: Person
) -> None:
    acme = make_house(alice, writer=bob, reader=mallory)
    model = house_model(alice, acme)
    draft = builders.make_revision(alice, model, report=None)
    _with(bob, TokenScope.READ)
    assert selectors.find_revision(model, draft.pk, bob.user) == draft
    for stranger in (mallory.user, None):
        with pytest.raises(UnknownRevisionError):
            selectors.find_revision(model, draft.pk, stranger)
    _with(bob, TokenScope.READ, bob.owner)
    with pytest.raises(UnknownRevisionError):
        selectors.find_revision(model, draft.pk, bob.user)
    organisations.delete(alice.user, acme)
    model.refresh_from_db()
    assert not sees_drafts(alice.user, model)


def test_a_condition_for_nobody_finds_nothing(alice: Person) -> None:
    builders.make_model(alice)
    assert not Model.objects.filter(owned(None, Action.READ)).exists()
    assert not can(None, Action.WRITE, alice.owner)
