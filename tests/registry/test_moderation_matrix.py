"""Every act on every kind of thing, by everybody who is no moderator: generated, nothing happens.

The admin is the only way to moderate. Each of these comes with a session or a token of every scope,
with the form filled in as a moderator would, right after proving who they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import Settings

from ledger.models import Entry
from registry import moderated
from registry.choices import Act, Category, Target, TokenScope
from registry.errors import NotAllowedError
from registry.models import ApiToken, ModerationAction, Release
from registry.rights import carry
from registry.services import moderation, own_key
from tests.people import PASSWORD, Person, make_person
from tests.registry.moderating import REASON, Things, make_moderator, things_of

ACT = "/admin/registry/moderationaction/act/"
AWAY = ("/accounts/login/", "/accounts/reauthenticate/", "/admin/login/")
BACKEND = "django.contrib.auth.backends.ModelBackend"
EVERY = [(act, kind) for kind, acts in moderated.ACTS.items() for act in acts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """Somebody, by the way in which they come; `user` is None for who cannot be known."""

    name: str
    client: Client
    user: User | None


def signed_in(user: User, *, sure: bool = True) -> Client:
    client = Client()
    client.force_login(user, backend=BACKEND)
    if sure:
        client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    return client


def with_token(user: User, scope: str) -> Client:
    _, token = ApiToken.objects.create(user, name="matrix", scope=scope)
    return Client(headers={"authorization": f"Bearer {token}"})


def everybody(alice: Person, mallory: Person) -> list[Who]:
    """Return everybody who is no moderator, and moderators by ways that do not count."""
    carol = make_moderator("carol")
    helper = make_person("helper").user
    helper.is_staff = True
    helper.save()
    seeing = make_person("seeing").user
    seeing.is_staff = True
    seeing.save()
    for word in ("view", "change", "add", "delete"):
        seeing.user_permissions.add(Permission.objects.get(codename=f"{word}_moderationaction"))
    outside = make_moderator("outside")
    outside.is_staff = False
    outside.save()
    gone = make_moderator("gone")
    gone.is_active = False
    gone.save()
    people = {
        "mallory": mallory.user,
        "the owner": alice.user,
        "staff": helper,
        "staff who may see and change": seeing,
        "a moderator who is no staff": outside,
        "a moderator who was switched off": gone,
    }
    found = [Who(name="nobody", client=Client(), user=None)]
    found += [
        Who(name=f"{name}, session", client=signed_in(user), user=user)
        for name, user in people.items()
    ]
    for name, user in {**people, "a moderator": carol}.items():
        found += [
            Who(name=f"{name}, token {scope}", client=with_token(user, scope), user=None)
            for scope in TokenScope.values
        ]
    late = signed_in(carol, sure=False)
    return [*found, Who(name="a moderator who did not prove it lately", client=late, user=None)]


@pytest.fixture(autouse=True)
def _counting(settings: Settings) -> None:
    settings.ACCOUNT_RATE_LIMITS = False


@pytest.fixture
def things(first: Release) -> Things:
    own_key.ensure_registry_key()
    return things_of(first)


def form(act: Act, kind: Target, things: Things) -> dict[str, str]:
    name = things.names[kind]
    return {
        "kind": kind.value,
        "name": name,
        "act": act.value,
        "category": Category.OTHER.value,
        "reason": REASON,
        "typed": name,
        "seen": "0",
        "do": "1",
    }


def test_nobody_but_a_moderator_who_just_proved_it_can_do_any_act(
    things: Things, alice: Person, mallory: Person
) -> None:
    before = Entry.objects.count()
    let_in = []
    tried = 0
    for who in everybody(alice, mallory):
        for act, kind in EVERY:
            tried += 1
            sent = form(act, kind, things)
            answer = who.client.post(ACT, sent)
            if answer.status_code not in (302, 403):
                let_in.append(f"{who.name} {act} {kind}: {answer.status_code}")
            elif answer.status_code == 302 and not answer["Location"].startswith(AWAY):
                let_in.append(f"{who.name} {act} {kind}: {answer['Location']}")
            if who.user is not None:
                wanted = things.wanted(act, kind)
                with pytest.raises(NotAllowedError):
                    moderation.act(who.user, wanted)
    assert tried > 500
    assert let_in == []
    assert (ModerationAction.objects.count(), Entry.objects.count()) == (0, before)


def test_a_moderators_token_moderates_nothing(things: Things) -> None:
    carol = make_moderator()
    row, _ = ApiToken.objects.create(carol, name="all", scope=TokenScope.ADMIN)
    carry(carol, row)
    with pytest.raises(NotAllowedError):
        things.do(carol, Act.HIDE, Target.MODEL)


def test_the_api_has_no_way_to_moderate(things: Things, admin_user: User) -> None:
    client = with_token(admin_user, TokenScope.ADMIN)
    for path in ("/api/v1/moderation", "/api/v1/moderation/1", "/api/v1/moderation/1/bundle"):
        for method in (client.post, client.put, client.patch, client.delete):
            ask: Callable[..., object] = method
            answer = ask(path, form(Act.HIDE, Target.MODEL, things), "application/json")
            assert getattr(answer, "status_code", None) == 405, path


@pytest.mark.parametrize(("act", "kind"), [(a, k) for a, k in EVERY if a in moderated.UNDONE_BY])
def test_carol_who_just_proved_who_she_is_does_every_act(
    act: Act, kind: Target, things: Things
) -> None:
    client = signed_in(make_moderator())
    sent = form(act, kind, things)
    shown = client.post(ACT, {name: sent[name] for name in sent if name != "do"})
    assert shown.status_code == 200
    assert ModerationAction.objects.count() == 0
    assert REASON in shown.content.decode()
    done = client.post(ACT, sent)
    assert (done.status_code, done["Location"]) == (302, "/moderation/1/")
    assert ModerationAction.objects.get().act == act
    again = client.post(ACT, sent)
    assert again.status_code == 409
    assert ModerationAction.objects.count() == 1
