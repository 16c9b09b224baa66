"""Who asks again is told 304; who edits what is not there any more is told 412."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from registry.models import Model, Owner, Release
from tests import builders
from tests.people import Person
from tests.registry import houses
from tests.registry.alias_calls import ALIASES, point
from tests.registry.calls import API, error

MODEL = f"{API}/models/alice/double"


def etag(client: APIClient, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200, answer.content
    assert answer["Cache-Control"] == "private, no-cache"
    return str(answer["ETag"])


def put(client: APIClient, url: str, body: dict[str, Any], tag: str) -> Any:
    return client.put(url, body, format="json", headers={"If-Match": tag})


@pytest.mark.parametrize(
    "place",
    ["", "/revisions", "/releases", "/releases/1.0.0", "/card", "/aliases", "/signers", "/lineage"],
)
def test_what_has_not_changed_is_not_sent_again(first: Release, place: str) -> None:
    anybody = APIClient()
    tag = etag(anybody, MODEL + place)
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = anybody.get(MODEL + place, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", tag)
        assert {"Authorization", "Cookie"} <= set(again["Vary"].split(", "))
    assert anybody.get(MODEL + place, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_new_release_changes_the_etag_of_the_list(
    alice: Person, first: Release, request: pytest.FixtureRequest
) -> None:
    before = etag(APIClient(), f"{MODEL}/releases")
    request.getfixturevalue("second")
    answer = APIClient().get(f"{MODEL}/releases", headers={"If-None-Match": before})
    assert [item["version"] for item in answer.json()["items"]] == ["2.0.0", "1.0.0"]


def test_what_is_signed_and_what_is_secret_has_no_etag(alice: Person, first: Release) -> None:
    signing = APIClient().get(f"{MODEL}/revisions/{first.revision_id}/signing")
    assert (signing.status_code, "ETag" in signing) == (200, False)
    assert "ETag" not in APIClient().get(f"{MODEL}/releases/9.9.9")


def test_bob_may_not_undo_what_he_has_not_seen(alice: Person) -> None:
    builders.make_model(alice)
    url, api = f"{MODEL}/visibility", alice.api()
    seen = etag(api, url)
    first = put(api, url, {"visibility": "gated", "terms": "Tell us why."}, seen)
    assert (first.status_code, first.json()["visibility"]) == (200, "gated")
    late = put(api, url, {"visibility": "private"}, seen)
    assert error(late) == (412, "precondition_failed")
    now = etag(api, url)
    assert late.json()["error"]["detail"] == {"etag": now}
    assert Model.objects.get().visibility == "gated"
    assert put(api, url, {"visibility": "private"}, f'"old", {now}').status_code == 200


def test_a_weak_etag_is_good_for_reading_only(alice: Person) -> None:
    builders.make_model(alice)
    url, api = f"{MODEL}/visibility", alice.api()
    assert error(put(api, url, {"visibility": "private"}, f"W/{etag(api, url)}"))[0] == 412
    assert put(api, url, {"visibility": "private"}, "*").status_code == 200


def test_without_if_match_the_last_one_wins(alice: Person) -> None:
    builders.make_model(alice)
    for visibility in ("gated", "private"):
        body = {"visibility": visibility}
        answer = alice.api().put(f"{MODEL}/visibility", body, format="json")
        assert answer.status_code == 200
    assert Model.objects.get().visibility == "private"


@pytest.mark.parametrize(
    ("place", "body", "changed"),
    [
        (f"{API}/owners/acme", {"title": "Acme"}, {"title": "Acme & Sons"}),
        (f"{MODEL}/card", {"body": "# One\n"}, {"body": "# Two\n"}),
    ],
)
def test_a_title_and_a_card_are_edited_on_what_was_seen(
    alice: Person, place: str, body: dict[str, Any], changed: dict[str, Any]
) -> None:
    builders.make_revision(alice)
    houses.make_house(alice)
    api = alice.api()

    def edit(change: dict[str, Any], tag: str) -> Any:
        if place.endswith("/card"):
            change = {"parent": Model.objects.get().head_id, "fields": {}, **change}
        return api.patch(place, change, format="json", headers={"If-Match": tag})

    seen = etag(api, place)
    assert edit(body, seen).status_code == 200
    assert error(edit(changed, seen)) == (412, "precondition_failed")
    assert edit(changed, etag(api, place)).status_code == 200


def test_a_protection_and_a_keys_name_have_etags_too(alice: Person, first: Release) -> None:
    assert point(alice, first).status_code == 201
    api, url = alice.api(), f"{ALIASES}/production/protection"
    seen = etag(api, url)
    assert put(api, url, {"protected": True}, seen).json()["protected"] is True
    assert error(put(api, url, {"protected": False}, seen))[0] == 412
    key = f"{API}/keys/{first.key_id}"
    seen = etag(api, key)
    for name, status in (("one", 200), ("two", 412)):
        answer = api.patch(key, {"name": name}, format="json", headers={"If-Match": seen})
        assert answer.status_code == status


def test_a_refused_edit_leaves_nothing(alice: Person) -> None:
    houses.make_house(alice)
    url, api = f"{API}/owners/acme", alice.api()
    tag = etag(api, url)
    for body in ({}, {"title": "x" * 81}):
        answer = api.patch(url, body, format="json", headers={"If-Match": tag})
        assert error(answer) == (400, "invalid_input")
    assert Owner.objects.get(name="acme").title == ""
    assert etag(api, url) == tag


def test_mallory_learns_no_etag_from_a_refusal(alice: Person, mallory: Person) -> None:
    builders.make_model(alice, visibility="private")
    answer = put(mallory.api(), f"{MODEL}/visibility", {"visibility": "public"}, '"guess"')
    assert error(answer) == (404, "unknown_model")
    builders.make_model(alice, "seen")
    url = f"{API}/models/alice/seen/visibility"
    assert error(put(mallory.api(), url, {"visibility": "public"}, "*")) == (403, "not_allowed")


def test_an_address_without_an_etag_takes_no_if_match(alice: Person) -> None:
    answer = alice.api().delete(f"{API}/tokens/{'0' * 64}", headers={"If-Match": "*"})
    assert error(answer) == (412, "precondition_failed")
