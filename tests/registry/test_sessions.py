"""Sessions: alice sees where she is signed in, and ends what she does not know."""

from __future__ import annotations

from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings as site_settings
from django.contrib.sessions.backends.base import UpdateError
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from registry.models import AuditEvent, Session
from registry.services import sessions
from registry.tasks import sweep_accounts
from tests.pages.html import faults, parse
from tests.people import PASSWORD, Person

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1"
)
PAGE = "/settings/sessions/"


def signed_in(person: Person, agent: str = FIREFOX) -> Client:
    """Return a browser in which `person` signed in by the form."""
    client = Client(headers={"accept": "text/html", "user-agent": agent})
    given = {"login": person.name, "password": PASSWORD}
    assert client.post("/accounts/login/", given).status_code == 302
    return client


def key(client: Client) -> str:
    return client.cookies[site_settings.SESSION_COOKIE_NAME].value


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        (PHONE, "Safari on iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/156.0 Safari/537.36 Edg/156.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 16) Chrome/156.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (Macintosh) Version/19 Safari/605.1.15", "Safari on macOS"),
        ("python-requests/2.32", sessions.UNKNOWN),
        ("", sessions.UNKNOWN),
        ("<script>" * 500 + "Firefox/1", sessions.UNKNOWN),
    ],
)
def test_a_device_is_told_in_words_and_nothing_else_is_kept(agent: str, words: str) -> None:
    assert sessions.device_words(agent) == words


def test_alice_sees_both_of_her_sessions_and_which_one_this_is(alice: Person, bob: Person) -> None:
    desk = signed_in(alice)
    signed_in(alice, PHONE)
    signed_in(bob)
    page = desk.get(PAGE).content.decode()
    assert faults(parse(page)) == []
    assert page.index("Firefox on Linux") < page.index("this session") < page.index("on iPhone")
    rows = Session.objects.filter(user=alice.user)
    assert {row.device for row in rows} == {"Firefox on Linux", "Safari on iPhone"}
    for row in rows:
        assert row.session_key not in page
        assert row.signed_in_at is not None


def test_alice_ends_the_session_of_her_lost_phone(alice: Person) -> None:
    desk, phone = signed_in(alice), signed_in(alice, PHONE)
    name = sessions.handle(key(phone))
    assert phone.get(PAGE).status_code == 200
    assert desk.post(f"{PAGE}{name}/end/").status_code == 302
    assert phone.get(PAGE).status_code == 302
    assert desk.get(PAGE).status_code == 200
    assert AuditEvent.objects.get(action="session.end").target == "Safari on iPhone"
    told = desk.post(f"{PAGE}{name}/end/", follow=True).content.decode()
    assert "had ended before" in told


def test_alice_ends_all_others_at_once(alice: Person, bob: Person) -> None:
    desk, others = signed_in(alice), [signed_in(alice, PHONE) for _ in range(3)]
    bobs = signed_in(bob)
    assert desk.post(f"{PAGE}end/").status_code == 302
    assert {client.get(PAGE).status_code for client in others} == {302}
    assert desk.get(PAGE).status_code == bobs.get(PAGE).status_code == 200
    assert AuditEvent.objects.get(action="session.end_others").data == {"count": 3}
    assert "There was no other session" in desk.post(f"{PAGE}end/", follow=True).content.decode()
    assert AuditEvent.objects.filter(action="session.end_others").count() == 1


def test_mallory_ends_no_session_of_alice(alice: Person, mallory: Person) -> None:
    desk = signed_in(alice)
    theirs = signed_in(mallory)
    theirs.post(f"{PAGE}{sessions.handle(key(desk))}/end/")
    theirs.post(f"{PAGE}end/")
    assert desk.get(PAGE).status_code == 200


def test_the_name_of_a_session_opens_nothing(alice: Person) -> None:
    name = sessions.handle(key(signed_in(alice)))
    thief = Client()
    thief.cookies[site_settings.SESSION_COOKIE_NAME] = name
    assert thief.get(PAGE).status_code == 302


def test_a_request_that_was_under_way_does_not_bring_an_ended_session_back(alice: Person) -> None:
    client = signed_in(alice)
    under_way = client.session
    assert under_way["sign_in"]
    sessions.end(alice.user, sessions.handle(key(client)))
    under_way["late"] = True
    with pytest.raises(UpdateError):
        under_way.save()
    assert not Session.objects.filter(user=alice.user).exists()


def test_a_new_password_ends_the_other_sessions(alice: Person) -> None:
    desk, phone = signed_in(alice), signed_in(alice, PHONE)
    new = "another long phrase"
    given = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert desk.post("/accounts/password/change/", given).status_code == 302
    assert phone.get(PAGE).status_code == 302
    assert desk.get(PAGE).status_code == 200
    (left,) = Session.objects.filter(user=alice.user)
    assert left.device == "Firefox on Linux"


def test_a_password_that_was_reset_by_a_letter_ends_every_session(alice: Person) -> None:
    EmailAddress.objects.create(user=alice.user, email=alice.user.email, verified=True)
    desk, stranger = signed_in(alice), Client(headers={"accept": "text/html"})
    stranger.post("/accounts/password/reset/", {"email": alice.user.email})
    (letter,) = mail.outbox
    path = "/accounts/" + str(letter.body).split("/accounts/")[1].split()[0]
    form = stranger.get(path, follow=True)
    new = {"password1": "another long phrase", "password2": "another long phrase"}
    assert stranger.post(form.request["PATH_INFO"], new).status_code == 302
    assert desk.get(PAGE).status_code == 302
    assert not Session.objects.filter(user=alice.user).exists()


def test_a_session_is_seen_at_most_once_in_five_minutes(alice: Person) -> None:
    client = signed_in(alice)
    rows = Session.objects.filter(session_key=key(client))
    before = rows.get().seen_at
    client.get("/settings/keys/")
    assert rows.get().seen_at == before
    long_ago = timezone.now() - timedelta(hours=1)
    rows.update(seen_at=long_ago)
    data = rows.get().session_data
    client.get("/settings/keys/")
    assert rows.get().seen_at > long_ago
    assert rows.get().session_data == data


def test_the_page_costs_the_same_with_many_sessions(alice: Person) -> None:
    desk = signed_in(alice)

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert desk.get(PAGE).status_code == 200
        return len(queries)

    before = cost()
    later = timezone.now() + timedelta(days=1)
    Session.objects.bulk_create(
        Session(session_key=f"k{n}", session_data="", expire_date=later, user=alice.user)
        for n in range(sessions.MOST + 50)
    )
    assert cost() == before
    assert f"The {sessions.MOST} used last are shown." in desk.get(PAGE).content.decode()


def test_sessions_that_ran_out_are_taken_away(alice: Person) -> None:
    client = signed_in(alice)
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert client.get(PAGE).status_code == 302
    assert not sessions.of(alice.user).exists()
    sweep_accounts()
    assert not Session.objects.exists()
