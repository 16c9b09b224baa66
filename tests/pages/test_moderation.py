"""The pages of moderation: the public log, one action, and the moderators' desk in the admin."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from registry.choices import Act, Target
from registry.models import ModerationAction, Objection
from registry.services import objections
from tests.ledger.builders import sequence
from tests.pages.conftest import Site
from tests.pages.html import faults, parse
from tests.pages.test_every_page import MAX_QUERIES, check
from tests.people import PASSWORD
from tests.registry.moderating import REASON, Things, make_moderator
from tests.registry.test_moderation_matrix import ACT, signed_in


@pytest.fixture(autouse=True)
def _counting(settings: Settings) -> None:
    settings.ACCOUNT_RATE_LIMITS = False


@pytest.fixture
def carol(db: None) -> User:
    return make_moderator()


@pytest.fixture
def things(site: Site) -> Things:
    names = {Target.MODEL: site.model, Target.OWNER: "bob", Target.KEY: site.release.key_id}
    return Things(names=names)


def act_many(carol: User, things: Things, count: int) -> None:
    for _ in range(count):
        hidden = ModerationAction.objects.count() % 2
        things.do(carol, Act.RESTORE if hidden else Act.HIDE, Target.MODEL)


def cost(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return len(queries)


def test_the_log_is_paged_by_keys_and_costs_the_same_however_long_it_is(
    carol: User, things: Things, reader: Client
) -> None:
    assert "No actions yet" in reader.get("/moderation/").content.decode()
    act_many(carol, things, 3)
    before = cost(reader, "/moderation/")
    act_many(carol, things, 31)
    assert cost(reader, "/moderation/") == before
    first = reader.get("/moderation/").content.decode()
    assert 'href="?before=5"' in first
    second = reader.get("/moderation/?before=5").content.decode()
    assert 'href="/moderation/4/"' in second
    assert 'href="/moderation/5/"' not in second
    assert "Nothing on this page" in reader.get("/moderation/?before=1").content.decode()
    assert reader.get("/moderation/?before=x").status_code == 200


def test_every_page_of_an_action_keeps_the_rules_of_all_pages(
    carol: User, things: Things, site: Site, reader: Client
) -> None:
    waiting = things.do(carol, Act.HIDE, Target.MODEL)
    check(reader, f"/moderation/{waiting.number}/")
    assert "as soon as a checkpoint" in reader.get("/moderation/1/").content.decode()
    things.do(carol, Act.SUSPEND, Target.OWNER)
    things.do(carol, Act.SUSPEND, Target.KEY)
    sequence()
    owner = signed_in(site.alice.user)
    for client in (reader, owner):
        for path in ("/moderation/", "/moderation/1/", "/moderation/2/", "/moderation/3/"):
            check(client, path)
        for path in (f"/models/{site.model}/", "/bob/", f"/keys/{site.release.key_id}/"):
            check(client, path)
    assert "Moderators hid this model" in reader.get(f"/models/{site.model}/").content.decode()
    assert "Moderators suspended this account" in reader.get("/bob/").content.decode()
    key = reader.get(f"/keys/{site.release.key_id}/").content.decode()
    assert 'href="/moderation/3/">Moderators ended it' in key
    receipt = reader.get("/moderation/1/moderation.sigstore.json")
    assert json.loads(receipt.content)["dsseEnvelope"]["payload"]
    assert reader.get("/moderation/4/").status_code == 404
    assert reader.get(f"/moderation/{2**40}/").status_code == 404
    things.do(carol, Act.TAKEDOWN, Target.MODEL)
    gone = reader.get(f"/models/{site.model}/")
    assert gone.status_code == 451
    assert faults(parse(gone.content.decode())) == []


def test_the_api_lists_what_was_done_and_filters(
    carol: User, things: Things, client: Client
) -> None:
    things.do(carol, Act.HIDE, Target.MODEL)
    things.do(carol, Act.SUSPEND, Target.OWNER)
    sequence()
    api = "/api/v1/moderation"
    assert [one["number"] for one in client.get(api).json()["items"]] == [2, 1]
    assert [one["name"] for one in client.get(f"{api}?kind=owner").json()["items"]] == ["bob"]
    assert [one["act"] for one in client.get(f"{api}?name=ALICE/double").json()["items"]] == [
        "hide"
    ]
    assert client.get(f"{api}?kind=planet").status_code == 400
    page = client.get(f"{api}?limit=1").json()
    assert [one["number"] for one in page["items"]] == [2]
    rest = client.get(f"{api}?limit=1&cursor={page['next']}").json()
    assert [one["number"] for one in rest["items"]] == [1]
    one = client.get(f"{api}/1").json()
    assert one["statement"]["payloadType"] == "application/vnd.in-toto+json"
    assert client.get(f"{api}/1/bundle")["Content-Type"].startswith("application/vnd.dev.sigstore")
    assert client.get(f"{api}/9").status_code == 404


# ------------------------------------------------------------------ the desk


def test_what_carol_typed_is_kept_while_she_proves_who_she_is(carol: User, things: Things) -> None:
    desk = signed_in(carol, sure=False)
    form = {
        "kind": "model",
        "name": things.names[Target.MODEL],
        "act": "hide",
        "category": "other",
        "reason": REASON,
    }
    asked = desk.post(ACT, form)
    assert asked["Location"].startswith("/accounts/reauthenticate/")
    shown = desk.post(asked["Location"], {"password": PASSWORD})
    assert shown.status_code == 200
    assert "What everybody will read" in shown.content.decode()
    assert REASON in shown.content.decode()
    assert f'action="{ACT}"' in shown.content.decode()
    assert ModerationAction.objects.count() == 0


def test_what_dave_answered_is_kept_too_and_goes_on_at_its_own_address(
    carol: User, things: Things, site: Site
) -> None:
    things.do(carol, Act.HIDE, Target.MODEL)
    asked = objections.ask(
        site.alice.user, ModerationAction.objects.get(), "It is a good model, and it is mine."
    )
    desk = signed_in(make_moderator("dave"), sure=False)
    place = f"/admin/registry/objection/{asked.pk}/change/"
    led = desk.post(place, {"state": "granted", "answer": REASON})
    shown = desk.post(led["Location"], {"password": PASSWORD})
    assert "The appeal is granted" in shown.content.decode()
    assert f'action="{place}"' in shown.content.decode()


def test_the_desk_shows_the_thing_and_what_can_be_done_to_it(carol: User, things: Things) -> None:
    desk = signed_in(carol)
    page = desk.get(f"{ACT}?kind=model&name={things.names[Target.MODEL]}&act=hide")
    text = page.content.decode()
    assert "What moderators did about it" in text
    assert '<option value="hide" selected>' in text
    assert '<option value="suspend">' not in text
    assert "There is no model" in desk.get(f"{ACT}?kind=model&name=alice/none").content.decode()
    assert desk.get(f"{ACT}?kind=planet&name=mars").status_code == 200
    assert desk.post(ACT, {"kind": "model"}).status_code == 400
    wrong = {"kind": "model", "name": "alice/none", "act": "hide", "category": "other"}
    assert desk.post(ACT, {**wrong, "reason": REASON}).status_code == 404


def test_the_lists_of_the_desk_cost_no_more_with_more_rows(
    carol: User, things: Things, site: Site
) -> None:
    desk = signed_in(carol)
    paths = [f"/admin/registry/{name}/" for name in ("moderationaction", "report", "objection")]
    for number in range(2):
        act_many(carol, things, 1)
        found = ModerationAction.objects.filter(act=Act.HIDE, objection=None).first()
        assert found is not None
        objections.ask(site.alice.user, found, "It is a good model, and it is mine.")
        costs = [cost(desk, path) for path in paths]
        assert max(costs) <= MAX_QUERIES
        if number == 0:
            before = costs
            act_many(carol, things, 1)
    assert costs == before
    assert Objection.objects.count() == 2


@pytest.mark.parametrize("name", ["report", "objection"])
@pytest.mark.parametrize("row", ["0", "x", "1/change/widgets.css", "9" * 40, "٣"])
def test_a_row_of_the_desk_that_is_none_is_not_found(name: str, row: str, carol: User) -> None:
    desk = signed_in(carol)
    assert desk.get(f"/admin/registry/{name}/{row}/change/").status_code == 404


def test_every_page_of_the_desk_keeps_the_rules_of_all_pages(
    carol: User, things: Things, site: Site
) -> None:
    desk = signed_in(carol)
    things.do(carol, Act.HIDE, Target.MODEL)
    asked = objections.ask(
        site.alice.user, ModerationAction.objects.get(), "It is a good model, and it is mine."
    )
    for path in (
        "/admin/registry/moderationaction/",
        f"{ACT}?kind=model&name={things.names[Target.MODEL]}",
        f"/admin/registry/objection/{asked.pk}/change/",
    ):
        page = desk.get(path)
        assert page.status_code == 200
        assert faults(parse(page.content.decode()), whole=False) == [], path
