"""The pages of organisations, settings of models, requests, activity and the end of an account."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from registry.choices import AccessState, TransferState, Visibility
from registry.models import AccessRequest, Closing, Membership, Model, Owner, Transfer
from registry.services import closing, gates, organisations, transfers
from tests import builders
from tests.pages.conftest import ACCEPT, Site
from tests.pages.html import faults, parse
from tests.people import PASSWORD, Person
from tests.registry.houses import house_model, make_house

HOME = "/settings/organisations/"
MAX_QUERIES = 8 + 2  # those of the session beside
_OWN = re.compile("/(?:settings|orgs|access|activity)/")


def read(client: Client, path: str, status: int = 200) -> str:
    """Return a page that keeps the rules of all pages, in few queries."""
    with CaptureQueriesContext(connection) as queries:
        response = client.get(path)
    text: str = response.content.decode()
    assert response.status_code == status, path
    assert faults(parse(text)) == [], path
    told = [path, *(query["sql"][:200] for query in queries.captured_queries)]
    assert len(queries) <= MAX_QUERIES or _OWN.search(path) is None, told
    return text


def send(client: Client, path: str, status: int = 302, /, **fields: str) -> str:
    """Post a form; a page that comes back keeps the rules too."""
    response = client.post(path, fields)
    text: str = response.content.decode()
    assert response.status_code == status, (path, text[:2000])
    if status == 400:
        assert faults(parse(text)) == [], path
    return text


@pytest.fixture
def as_mallory(mallory: Person) -> Client:
    client = Client(headers={"accept": ACCEPT})
    client.force_login(mallory.user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_alice_founds_acme_and_bob_joins_and_leaves(
    as_alice: Client, as_bob: Client, bob: Person
) -> None:
    send(as_alice, HOME, name="acme", title="Acme")
    text = send(as_alice, "/orgs/acme/members/", 400, name="nobody", role="reader")
    assert "There is no person" in text
    send(as_alice, "/orgs/acme/members/", name="bob", role="writer")
    assert "invited" in read(as_alice, "/orgs/acme/")
    assert "invited" not in read(as_bob, "/orgs/acme/")
    assert "acme invites you as writer" in read(as_bob, HOME)
    send(as_bob, f"{HOME}acme/accept/")
    assert "Leave" in read(as_bob, "/orgs/acme/")
    assert 'id="id_role"' not in read(as_bob, "/orgs/acme/")
    send(as_alice, "/orgs/acme/members/bob/", do="role", role="publisher")
    assert Membership.objects.get(user=bob.user).role == "publisher"
    send(as_bob, "/orgs/acme/members/bob/", do="remove")
    assert not Membership.objects.filter(user=bob.user).exists()
    send(as_alice, "/orgs/acme/members/alice/", do="remove")
    assert "needs an admin" in read(as_alice, "/orgs/acme/")


def test_bad_names_are_told_beside_the_field(as_alice: Client, bob: Person) -> None:
    assert "taken" in send(as_alice, HOME, 400, name="bob")
    assert "reserved" in send(as_alice, HOME, 400, name="settings")
    assert not Owner.objects.filter(kind="organisation").exists()


def test_an_invitation_is_declined(as_alice: Client, as_bob: Client, alice: Person) -> None:
    acme = make_house(alice)
    organisations.invite(alice.user, acme, name="bob", role="reader")
    send(as_bob, f"{HOME}acme/perhaps/", 404)
    send(as_bob, f"{HOME}acme/decline/")
    send(as_bob, f"{HOME}acme/accept/", 404)


def test_an_organisation_is_renamed_in_full_and_deleted_by_its_name(
    as_alice: Client, alice: Person
) -> None:
    make_house(alice)
    send(as_alice, "/orgs/acme/title/", title="The Acme")
    assert "<h1>The Acme</h1>" in read(as_alice, "/orgs/acme/")
    send(as_alice, "/orgs/acme/title/", 400, title="x" * 81)
    text = send(as_alice, "/orgs/acme/delete/", 400, **{"delete-name": "acne"})
    assert "another name" in text
    send(as_alice, "/orgs/acme/delete/", **{"delete-name": "acme"})
    read(as_alice, "/orgs/acme/", 404)


def test_an_organisation_with_releases_says_why_it_stays(as_alice: Client, alice: Person) -> None:
    make_house(alice)
    transfers.offer(alice.user, builders.publish_release(alice).model, to="acme")
    text = send(as_alice, "/orgs/acme/delete/", 400, **{"delete-name": "acme"})
    assert "stay for ever" in text
    assert "Members" in read(as_alice, "/acme/")


def test_mallory_may_not_send_any_of_the_forms(
    as_mallory: Client, alice: Person, bob: Person
) -> None:
    acme = make_house(alice, reader=bob)
    model = house_model(alice, acme)
    row = transfers.offer(alice.user, builders.make_model(alice), to="bob")
    send(as_mallory, "/orgs/acme/members/", 403, name="mallory", role="admin")
    send(as_mallory, "/orgs/acme/members/bob/", do="remove")
    send(as_mallory, "/orgs/acme/title/", 403, title="Mine")
    send(as_mallory, "/orgs/acme/delete/", 403, **{"delete-name": "acme"})
    base = f"/models/{model.full_name}/"
    send(as_mallory, f"{base}settings/visibility/", 403, visibility="private", gate="auto")
    send(as_mallory, f"{base}settings/transfer/", 403, **{"transfer-to": "mallory"})
    send(as_mallory, f"{base}settings/delete/", 403, **{"delete-name": model.full_name})
    send(as_mallory, f"{base}access/bob/", do="approve")
    send(as_mallory, f"/settings/transfers/{row.pk}/accept/", 404)
    for path in (f"{base}settings/", f"{base}activity/", "/settings/activity/?owner=acme"):
        read(as_mallory, path, 403)
    model.refresh_from_db()
    assert (model.visibility, model.owner, model.deleted_at) == ("public", acme, None)
    assert Membership.objects.filter(owner=acme).count() == 2


def test_the_page_of_a_person_is_elsewhere(reader: Client, alice: Person) -> None:
    assert reader.get("/orgs/alice/")["Location"] == "/alice/"


# ------------------------------------------------------------------ settings of a model


def test_a_model_is_gated_asked_for_and_approved(
    site: Site, as_alice: Client, as_bob: Client
) -> None:
    base = f"/models/{site.model}/"
    send(as_alice, f"{base}settings/visibility/", visibility="gated", gate="manual", terms="Cite.")
    send(as_alice, f"{base}settings/visibility/", 400, visibility="none", gate="manual")
    assert "on request" in read(Client(headers={"accept": ACCEPT}), base)
    assert "on request" in read(as_bob, f"{base}files/")
    assert "on request" not in read(as_alice, base)
    assert "Cite." in read(as_bob, f"{base}access/")
    send(as_bob, f"{base}access/", 400, reason="")
    send(as_bob, f"{base}access/", reason="a study")
    assert "waiting" in read(as_bob, f"{base}access/")
    assert "a study" in read(as_alice, f"{base}access/")
    send(as_alice, f"{base}access/bob/", 404, do="perhaps")
    send(as_alice, f"{base}access/bob/", do="approve")
    send(as_alice, f"{base}access/bob/", do="approve")
    assert "was approved before" in read(as_alice, f"{base}access/?state=approved")
    assert "on request" not in read(as_bob, base)
    send(as_bob, f"{base}access/", 400, reason="again")
    send(as_bob, f"{base}access/withdraw/")
    assert AccessRequest.objects.get().state == AccessState.WITHDRAWN
    assert "No request" in read(as_alice, f"{base}access/?state=declined&before=1")


def test_what_is_not_gated_has_nothing_to_ask_for(site: Site, as_bob: Client) -> None:
    assert "nothing to ask for" in read(as_bob, f"/models/{site.model}/access/")


def test_requests_come_in_pages(
    site: Site, as_alice: Client, mallory: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = site.release.model
    gates.set_visibility(site.alice.user, model, visibility=Visibility.GATED)
    model.refresh_from_db()
    for person in (site.bob, mallory):
        gates.ask(person.user, model, reason=f"for {person.name}")
    monkeypatch.setattr("registry.members.ACCESS_PAGE", 1)
    first = read(as_alice, f"/models/{site.model}/access/")
    assert "for mallory" in first
    before = AccessRequest.objects.get(user=mallory.user).pk
    assert f"?state=&amp;before={before}" in first
    assert "for bob" in read(as_alice, f"/models/{site.model}/access/?state=&before={before}")


def test_a_model_goes_to_bob_and_its_old_page_leads_on(
    site: Site, as_alice: Client, as_bob: Client
) -> None:
    base = f"/models/{site.model}/settings/"
    send(as_alice, f"{base}transfer/", 400, **{"transfer-to": "nobody"})
    send(as_alice, f"{base}transfer/", **{"transfer-to": "bob"})
    assert "has to accept" in read(as_alice, base)
    pk = Transfer.objects.get().pk
    send(as_alice, f"/settings/transfers/{pk}/cancel/")
    send(as_alice, f"{base}transfer/", **{"transfer-to": "bob"})
    pk = Transfer.objects.get(state=TransferState.WAITING).pk
    assert "alice gives alice/double to bob" in read(as_bob, HOME)
    send(as_bob, f"/settings/transfers/{pk}/perhaps/", 404)
    send(as_bob, f"/settings/transfers/{pk}/decline/")
    send(as_alice, f"{base}transfer/", **{"transfer-to": "bob"})
    pk = Transfer.objects.get(state=TransferState.WAITING).pk
    send(as_bob, f"/settings/transfers/{pk}/accept/")
    assert as_alice.get(base)["Location"] == "/models/bob/double/settings/"
    response = as_alice.post(f"{base}visibility/", {"visibility": "public"})
    assert response.status_code == 308
    assert "signed by" in read(as_bob, "/models/bob/double/")


def test_a_model_goes_at_once_where_alice_decides_for_both(
    site: Site, as_alice: Client, alice: Person
) -> None:
    make_house(alice)
    send(as_alice, f"/models/{site.model}/settings/transfer/", **{"transfer-to": "acme"})
    assert Model.objects.filter(owner__name="acme", name="double").exists()


def test_a_draft_is_deleted_by_its_name(as_alice: Client, alice: Person) -> None:
    builders.make_model(alice)
    base = "/models/alice/double/settings/"
    send(as_alice, f"{base}delete/", 400, **{"delete-name": "double"})
    send(as_alice, f"{base}delete/", **{"delete-name": "alice/double"})
    read(as_alice, base, 404)


def test_a_release_stops_the_deletion(site: Site, as_alice: Client) -> None:
    base = f"/models/{site.model}/settings/"
    text = send(as_alice, f"{base}delete/", 400, **{"delete-name": site.model})
    assert "stays for ever" in text


def test_a_model_is_made_for_an_organisation(as_alice: Client, alice: Person) -> None:
    make_house(alice)
    assert 'name="owner"' in read(as_alice, "/publish/")
    send(as_alice, "/publish/", owner="acme", name="first", visibility="private")
    assert Model.objects.get().full_name == "acme/first"


# ------------------------------------------------------------------ activity, tokens, the end


def test_activity_is_filtered_and_comes_in_pages(
    as_alice: Client, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_house(alice)
    builders.make_model(alice)
    assert "model.create" in read(as_alice, "/settings/activity/")
    assert "model.create" not in read(as_alice, "/settings/activity/?action=owner")
    assert "owner.create" in read(as_alice, "/settings/activity/?owner=acme&by=alice")
    assert "Nothing here" in read(as_alice, "/settings/activity/?until=2020-01-01")
    assert "errorlist" in read(as_alice, "/settings/activity/?since=yesterday")
    assert "model.create" in read(as_alice, "/models/alice/double/activity/")
    monkeypatch.setattr("registry.activity.PAGE", 1)
    text = read(as_alice, "/settings/activity/?action=owner")
    assert "?action=owner&amp;cursor=" in text
    read(as_alice, "/settings/activity/?cursor=999999")


def test_a_limited_token_says_so_in_the_list(as_alice: Client, alice: Person) -> None:
    make_house(alice)
    builders.make_model(alice)
    fields = {"name": "ci", "scope": "publish", "days": "7", "models": "alice/double"}
    as_alice.post("/accounts/reauthenticate/", {"password": PASSWORD})
    text = send(as_alice, "/settings/tokens/", 200, owners="acme", **fields)
    assert ">acme</span>" in text
    assert ">alice/double</span>" in text
    fields["models"] = "alice/nothing"
    assert "There is no model" in send(as_alice, "/settings/tokens/", 400, **fields)


def test_an_account_is_closed_by_its_name(as_alice: Client, as_bob: Client, alice: Person) -> None:
    make_house(alice)
    send(as_alice, "/accounts/reauthenticate/", password=PASSWORD)
    send(as_alice, "/settings/account/", 400, name="bob")
    assert "last admin" in send(as_alice, "/settings/account/", 400, name="alice")
    organisations.delete(alice.user, Owner.objects.get(name="acme"))
    send(as_alice, "/settings/account/", name="alice")
    assert "Keep" in read(as_alice, "/settings/account/")
    Closing.objects.update(due_at=timezone.now())
    assert closing.sweep() == 1
    assert as_alice.get("/settings/account/").status_code == 302
    assert "closed" in read(as_bob, "/alice/")
