"""Readers report, with an account or without; programs and floods are kept out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import signing
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from registry.choices import Act, Category, ReportState, Target
from registry.errors import (
    InvalidInputError,
    RegistryError,
    TooManyReportsError,
    UnknownModelError,
)
from registry.models import AuditEvent, Release, Report
from registry.services import flags, models
from registry.services.flags import Given
from tests.people import Person
from tests.registry.moderating import Things, make_moderator, things_of
from tests.registry.test_moderation_matrix import signed_in

PAGE = "/moderation/report/"
TEXT = "The weights are those of somebody else."
AGO = timedelta(minutes=1)


@pytest.fixture
def things(first: Release) -> Things:
    return things_of(first)


def given(**changes: Any) -> Given:
    fields: dict[str, Any] = {
        "kind": Target.MODEL,
        "name": "alice/double",
        "category": Category.COPYRIGHT,
        "text": TEXT,
        "stamp": flags.stamp(timezone.now() - AGO),
    }
    return Given(**{**fields, **changes})


def form(**changes: str) -> dict[str, str]:
    fields = {
        "kind": "model",
        "name": "alice/double",
        "category": "copyright",
        "text": TEXT,
        "stamp": flags.stamp(timezone.now() - AGO),
    }
    return {**fields, **changes}


def test_a_stranger_reports_every_kind_of_thing(things: Things) -> None:
    for kind, name in things.names.items():
        made = flags.report(None, given(kind=kind, name=name), address=f"10.0.0.{len(kind)}")
        assert made is not None
        assert (made.kind, made.state, made.user) == (kind, ReportState.WAITING, None)
    assert Report.objects.count() == len(things.names)


def test_a_report_is_sent_from_the_page_and_only_a_digest_of_the_address_is_kept(
    things: Things, client: Client
) -> None:
    page = client.get(f"{PAGE}?kind=model&name=alice/double").content.decode()
    assert 'value="alice/double"' in page
    answer = client.post(PAGE, form(email="reader@example.org"))
    assert answer.status_code == 200
    assert "Thank you" in answer.content.decode()
    row = Report.objects.get()
    assert (row.text, row.email) == (TEXT, "reader@example.org")
    assert row.origin not in ("", "127.0.0.1")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stamp": ""}, "open for a day"),
        ({"stamp": "1790000000:forged"}, "open for a day"),
        ({"stamp": signing.Signer(salt="another").sign("1790000000")}, "open for a day"),
        ({"text": "too short"}, "10 to"),
        ({"text": "It is bad.\x1b[2J and worse"}, "cannot be read"),
        ({"kind": Target.EXECUTION, "name": "no id"}, "id"),
        ({"kind": Target.EXECUTION, "name": "0" * 32}, "no such execution"),
        ({"kind": Target.RELEASE, "name": "alice/double"}, "owner/name@version"),
        ({"kind": Target.RELEASE, "name": "alice/double@9"}, "no release"),
        ({"kind": Target.KEY, "name": "00" * 32}, "No such key"),
        ({"kind": Target.OWNER, "name": "nobody"}, "no owner"),
        ({"kind": Target.FILE, "name": "00" * 32}, "No public content"),
        ({"name": "alice/none\0"}, "no model"),
    ],
)
def test_a_report_that_is_none_is_refused(
    changes: dict[str, Any], words: str, things: Things
) -> None:
    with pytest.raises(RegistryError, match=words):
        flags.report(None, given(**changes), address="10.0.0.1")
    assert Report.objects.count() == 0


def test_a_program_that_is_quick_or_fills_in_everything_is_kept_out(
    things: Things, client: Client
) -> None:
    with pytest.raises(InvalidInputError, match="quick"):
        flags.report(None, given(stamp=flags.stamp()), address="10.0.0.1")
    old = flags.stamp(timezone.now() - timedelta(days=2))
    with pytest.raises(InvalidInputError, match="day"):
        flags.report(None, given(stamp=old), address="10.0.0.1")
    trapped = client.post(PAGE, form(website="https://spam.example.org"))
    assert "Thank you" in trapped.content.decode()
    assert client.post(PAGE, form(text="")).status_code == 400
    assert client.post(PAGE, form(kind="nonsense")).status_code == 400
    assert Report.objects.count() == 0


def test_a_form_keeps_its_stamp_when_it_was_refused(things: Things, client: Client) -> None:
    stamp = flags.stamp()
    answer = client.post(PAGE, form(stamp=stamp))
    assert answer.status_code == 400
    assert f'value="{stamp}"' in answer.content.decode()
    answer = client.post(PAGE, form(stamp="forged"))
    assert 'value="forged"' not in answer.content.decode()


def test_one_place_sends_so_many_in_an_hour_and_the_same_once(
    things: Things, settings: Settings, bob: Person
) -> None:
    settings.REPORT_RATE = 2
    names = [("model", "alice/double"), ("owner", "alice"), ("owner", "bob")]
    wanted = [given(kind=Target(kind), name=name) for kind, name in names]
    first = flags.report(None, wanted[0], address="2001:db8::1")
    assert flags.report(None, wanted[0], address="2001:db8::2") == first
    flags.report(None, wanted[1], address="2001:db8::ffff")
    with pytest.raises(TooManyReportsError):
        flags.report(None, wanted[2], address="2001:db8::3")
    flags.report(None, wanted[2], address="2001:db8:0:1::3")
    for given_ in wanted[:2]:
        flags.report(bob.user, given_, address="")
    with pytest.raises(TooManyReportsError):
        flags.report(bob.user, wanted[2], address="192.0.2.1")
    later = timezone.now() + timedelta(hours=2)
    stamp = flags.stamp(later - AGO)
    again = given(kind=Target.OWNER, name="bob", stamp=stamp)
    assert flags.report(bob.user, again, address="192.0.2.1", now=later) is not None


def test_addresses_are_forgotten_after_a_day(things: Things) -> None:
    flags.report(None, given(), address="192.0.2.1")
    later = timezone.now() + timedelta(days=2)
    new = given(kind=Target.OWNER, name="alice", stamp=flags.stamp(later - AGO))
    flags.report(None, new, address="192.0.2.2", now=later)
    assert sorted(bool(row.origin) for row in Report.objects.all()) == [False, True]


def test_a_private_model_is_unknown_to_who_reports_it(alice: Person, things: Things) -> None:
    models.create(alice.user, name="secret", visibility="private")
    for name in ("alice/secret", "alice/secret@1.0.0", "alice/none"):
        kind = Target.RELEASE if "@" in name else Target.MODEL
        with pytest.raises(UnknownModelError):
            flags.report(None, given(kind=kind, name=name), address="10.0.0.1")


# ------------------------------------------------------------------ the queue


def test_carol_sees_the_queue_with_its_context_and_dismisses(
    things: Things, alice: Person, mallory: Person
) -> None:
    carol = make_moderator()
    client = signed_in(carol)
    for address in ("192.0.2.1", "192.0.2.2"):
        flags.report(None, given(), address=address)
    things.do(carol, Act.HIDE, Target.RELEASE)
    (row, _) = Report.objects.order_by("pk")
    queue = client.get("/admin/registry/report/").content.decode()
    assert "alice/double" in queue
    place = f"/admin/registry/report/{row.pk}/change/"
    page = client.get(place).content.decode()
    assert TEXT in page
    assert f"kind=model&amp;name=alice%2Fdouble&amp;act={Act.TAKEDOWN.value}" in page
    assert signed_in(mallory.user).post(place, {"note": "Mine."}).status_code == 302
    assert client.post(place, {"note": ""}).status_code == 400
    assert client.post(place).status_code == 400
    assert client.post(place, {"note": "It is her own work."}).status_code == 302
    assert {one.state for one in Report.objects.all()} == {ReportState.DISMISSED}
    assert AuditEvent.objects.filter(action="report.dismiss", user=carol).count() == 2
    assert "It is her own work." in client.get(place).content.decode()


def test_a_report_about_what_is_gone_is_still_shown(admin_user: User) -> None:
    row = Report.objects.create(kind=Target.MODEL, target="1", name="alice/gone", text=TEXT)
    page = signed_in(admin_user).get(f"/admin/registry/report/{row.pk}/change/").content.decode()
    assert "There is no model" in page
