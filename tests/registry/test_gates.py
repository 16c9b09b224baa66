"""Gated models: the page is everybody's, the files and runs are for who was approved."""

from __future__ import annotations

from functools import partial

import pytest
from django.core import mail
from rest_framework.test import APIClient

from inference import selectors as executions
from inference.models import Execution
from inference.services.plan import find_target
from registry.choices import AccessState, Gate, Visibility
from registry.errors import (
    ConflictError,
    GatedError,
    InvalidInputError,
    NotAllowedError,
    UnknownModelError,
    UnknownRequestError,
)
from registry.models import AccessRequest, AuditEvent, Model, Release
from registry.services import gates
from tests import builders
from tests.people import Person, make_person
from tests.registry import calls
from tests.registry.calls import API
from tests.registry.houses import at_once, house_model, make_house, sent


@pytest.fixture
def gated(alice: Person) -> Release:
    """alice/double 1.0.0, whose files are on request."""
    release = builders.publish_release(alice)
    gates.set_visibility(alice.user, release.model, visibility=Visibility.GATED, terms="Be kind.")
    release.model.refresh_from_db()
    return release


def _approve(alice: Person, person: Person, model: Model) -> None:
    gates.ask(person.user, model, reason="a study")
    gates.approve(alice.user, model, name=person.name)


def test_bob_asks_alice_approves_and_both_hear_of_it(
    gated: Release, alice: Person, bob: Person
) -> None:
    row = gates.ask(bob.user, gated.model, reason=" a study ")
    assert (row.state, row.reason) == (AccessState.WAITING, "a study")
    assert sent("asks for alice/double") == ["alice@example.org"]
    assert any("> a study" in letter.body for letter in mail.outbox)
    gates.approve(alice.user, gated.model, name="Bob")
    assert sent("was approved") == ["bob@example.org"]
    actions = AuditEvent.objects.filter(model=gated.model, action__startswith="access.")
    assert list(actions.order_by("pk").values_list("action", flat=True)) == [
        "access.ask",
        "access.approve",
    ]


def test_the_letter_about_an_organisations_model_goes_to_its_admins(
    alice: Person, bob: Person, mallory: Person
) -> None:
    acme = make_house(alice, admin=bob)
    carol = make_person("carol")
    gates.ask(carol.user, house_model(alice, acme, visibility="gated"), reason="a study")
    assert sent("asks for acme/double") == ["alice@example.org", "bob@example.org"]


def test_where_requests_are_approved_at_once_nobody_waits(
    gated: Release, alice: Person, bob: Person
) -> None:
    gates.set_visibility(alice.user, gated.model, visibility="gated", gate=Gate.AUTO)
    assert gates.ask(bob.user, gated.model, reason="a study").state == AccessState.APPROVED
    assert AuditEvent.objects.filter(action="access.approve").get().user is None


@pytest.mark.parametrize("reason", ["", "  ", "x" * 1001, "a\0b"])
def test_a_request_has_a_reason(reason: str, gated: Release, bob: Person) -> None:
    with pytest.raises(InvalidInputError):
        gates.ask(bob.user, gated.model, reason=reason)


def test_who_needs_no_request_makes_none(gated: Release, alice: Person, bob: Person) -> None:
    with pytest.raises(ConflictError):
        gates.ask(alice.user, gated.model, reason="mine")
    with pytest.raises(ConflictError):
        gates.ask(bob.user, builders.make_model(alice, "open"), reason="a study")
    with pytest.raises(UnknownModelError):
        gates.ask(bob.user, builders.make_model(alice, "shut", Visibility.PRIVATE), reason="a")


def test_a_request_is_taken_back_and_made_again(gated: Release, alice: Person, bob: Person) -> None:
    with pytest.raises(UnknownRequestError):
        gates.withdraw(bob.user, gated.model)
    gates.ask(bob.user, gated.model, reason="one")
    gates.ask(bob.user, gated.model, reason="two")
    assert AccessRequest.objects.get().reason == "two"
    gates.withdraw(bob.user, gated.model)
    with pytest.raises(ConflictError):
        gates.approve(alice.user, gated.model, name="bob")
    with pytest.raises(UnknownRequestError):
        gates.withdraw(bob.user, gated.model)
    _approve(alice, bob, gated.model)
    gates.withdraw(bob.user, gated.model)
    with pytest.raises(GatedError):
        find_target("alice/double", None, bob.user)


def test_what_was_declined_stays_so_until_the_owner_thinks_again(
    gated: Release, alice: Person, bob: Person
) -> None:
    _approve(alice, bob, gated.model)
    gates.decline(alice.user, gated.model, name="bob")
    with pytest.raises(ConflictError):
        gates.ask(bob.user, gated.model, reason="please")
    with pytest.raises(ConflictError):
        gates.decline(alice.user, gated.model, name="bob")
    gates.approve(alice.user, gated.model, name="bob")
    assert find_target("alice/double", None, bob.user).version == "1.0.0"


def test_mallory_may_not_decide_or_open_the_gate(
    gated: Release, alice: Person, bob: Person, mallory: Person
) -> None:
    gates.ask(mallory.user, gated.model, reason="mine now")
    for act in (gates.approve, gates.decline):
        with pytest.raises(NotAllowedError):
            act(mallory.user, gated.model, name="mallory")
    with pytest.raises(NotAllowedError):
        gates.set_visibility(mallory.user, gated.model, visibility="public")
    for name in ("bob", "nobody", "a\0"):
        with pytest.raises(UnknownRequestError):
            gates.approve(alice.user, gated.model, name=name)


@pytest.mark.parametrize("role", ["reader", "writer", "publisher"])
def test_only_an_admin_changes_the_settings(role: str, alice: Person, bob: Person) -> None:
    acme = make_house(alice, **{role: bob})
    with pytest.raises(NotAllowedError, match="role 'admin'"):
        gates.set_visibility(bob.user, house_model(alice, acme), visibility="private")


@pytest.mark.parametrize(
    "wrong", [{"visibility": "hidden"}, {"gate": "maybe"}, {"terms": "x" * 4001}, {"terms": "\0"}]
)
def test_bad_settings_are_refused(wrong: dict[str, str], gated: Release, alice: Person) -> None:
    with pytest.raises(InvalidInputError):
        gates.set_visibility(alice.user, gated.model, **{"visibility": "gated", **wrong})


@pytest.mark.django_db(transaction=True)
def test_of_two_decisions_at_once_the_second_is_told(alice: Person, bob: Person) -> None:
    model = builders.make_model(alice, visibility=Visibility.GATED)
    gates.ask(bob.user, model, reason="a study")
    act = partial(gates.approve, alice.user, model, name="bob")
    assert at_once(act, act) == ["ConflictError", "done"]


@pytest.mark.django_db(transaction=True)
def test_two_requests_at_once_are_one(alice: Person, bob: Person) -> None:
    model = builders.make_model(alice, visibility=Visibility.GATED)
    act = partial(gates.ask, bob.user, model, reason="a study")
    assert at_once(act, act) == ["done", "done"]
    assert AccessRequest.objects.count() == 1


# ------------------------------------------------------------------ every surface


def test_the_page_the_card_and_the_evidence_are_everybodys(gated: Release) -> None:
    reader = APIClient()
    page = reader.get("/models/alice/double/")
    assert page.status_code == 200
    assert "Adds a tensor to itself." in page.content.decode()
    assert reader.get(f"{API}/models/alice/double").json()["visibility"] == "gated"
    listed = reader.get(f"{API}/models").json()["items"]
    assert [row["id"] for row in listed] == ["alice/double"]
    assert reader.get("/hf/api/models/alice/double").json()["gated"] == "manual"


@pytest.mark.parametrize("who", ["nobody", "mallory", "approved", "alice"])
def test_files_are_for_who_was_approved(
    who: str, gated: Release, alice: Person, bob: Person, mallory: Person
) -> None:
    _approve(alice, bob, gated.model)
    client = APIClient()
    if who != "nobody":
        client = {"mallory": mallory, "approved": bob, "alice": alice}[who].api("read")
    may = who in ("approved", "alice")
    commit = gated.revision_id
    hub = client.get(f"/hf/alice/double/resolve/{commit}/model.onnx")
    hub.getvalue()
    assert hub.status_code == (200 if may else 403)
    if not may:
        assert hub["X-Error-Code"] == "GatedRepo"
    assert client.get("/hf/api/models/alice/double/auth-check").status_code == hub.status_code
    infer = client.get("/v2/models/alice--double")
    assert infer.status_code == hub.status_code
    plan = {"model": "alice/double", "inputs": []}
    asked = client.post(f"{API}/executions", plan, format="json")
    assert (asked.json()["error"]["code"] == "gated") is not may
    blob = gated.revision.files.get(path="model.onnx").blob_id
    assert APIClient().get(f"/sha256/{blob}/").status_code == 404


@pytest.mark.parametrize("who", ["nobody", "mallory", "approved", "alice"])
def test_the_file_pages_ask_too(
    who: str, gated: Release, alice: Person, bob: Person, mallory: Person
) -> None:
    _approve(alice, bob, gated.model)
    client = APIClient()
    people = {"mallory": mallory, "approved": bob, "alice": alice}
    if who in people:
        client.force_login(people[who].user)
    answer = client.get(f"/models/alice/double/files/{gated.revision_id}/model.onnx")
    answer.getvalue()
    may = who in ("approved", "alice")
    assert answer.status_code == (200 if may else 403)
    if may:
        assert "private" in answer["Cache-Control"]


def test_a_digest_of_a_gated_file_is_no_right_to_it(
    gated: Release, alice: Person, mallory: Person
) -> None:
    blob = gated.revision.files.get(path="model.onnx").blob_id
    builders.make_model(mallory, "stolen")
    answer = calls.commit(mallory.api(), "mallory/stolen", {"model.onnx": blob})
    assert calls.error(answer) == (404, "unknown_file")


def test_runs_of_a_gated_model_are_for_who_may_run_it(
    gated: Release, alice: Person, bob: Person, mallory: Person
) -> None:
    assert not Execution.objects.exists()
    _approve(alice, bob, gated.model)
    for person, may in ((bob, True), (mallory, False), (alice, True)):
        if may:
            assert find_target("alice/double", "1.0.0", person.user).model == gated.model
        else:
            with pytest.raises(GatedError):
                find_target("alice/double", "1.0.0", person.user)
        assert not executions.visible(person.user).exists()


def test_all_of_it_over_rest(gated: Release, alice: Person, bob: Person, mallory: Person) -> None:
    base = f"{API}/models/alice/double"
    api, bobs = alice.api(), bob.api("write")
    assert calls.error(bobs.get(f"{base}/access/mine")) == (404, "unknown_request")
    asked = bobs.put(f"{base}/access/mine", {"reason": "a study"}, format="json")
    assert asked.json()["state"] == "waiting"
    assert calls.error(mallory.api().get(f"{base}/access")) == (403, "not_allowed")
    listed = api.get(f"{base}/access?state=waiting").json()
    assert [row["name"] for row in listed["items"]] == ["bob"]
    assert listed["next"] == ""
    for wrong in ("?state=x", "?cursor=x"):
        assert calls.error(api.get(f"{base}/access{wrong}")) == (400, "invalid_input")
    decided = api.put(f"{base}/access/requests/bob", {"state": "approved"}, format="json")
    assert decided.json()["state"] == "approved"
    assert bobs.get(f"{base}/access/mine").json()["state"] == "approved"
    decided = api.put(f"{base}/access/requests/bob", {"state": "declined"}, format="json")
    assert decided.json()["state"] == "declined"
    gates.approve(alice.user, gated.model, name="bob")
    assert bobs.delete(f"{base}/access/mine").json()["state"] == "withdrawn"
    body = {"visibility": "gated", "gate": "auto", "terms": "Cite us."}
    changed = api.put(f"{base}/visibility", body, format="json").json()
    assert {name: changed[name] for name in body} == body
    refused = alice.api("publish").put(f"{base}/visibility", body, format="json")
    assert calls.error(refused) == (403, "not_allowed")


def test_requests_come_in_pages(
    gated: Release, alice: Person, bob: Person, mallory: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.members.ACCESS_PAGE", 1)
    for person in (bob, mallory):
        gates.ask(person.user, gated.model, reason="a study")
    address = f"{API}/models/alice/double/access"
    first = alice.api().get(address).json()
    rest = alice.api().get(f"{address}?cursor={first['next']}").json()
    assert [row["name"] for row in first["items"] + rest["items"]] == ["mallory", "bob"]
    assert rest["next"] == ""
