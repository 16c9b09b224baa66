"""Aliases: each move is signed and logged, and anyone can tell what a name meant, and when."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from assay.policy import parse_trusted_root
from assay.statements import timestamp
from assay.verify import TrustedKey, verify_alias
from ledger import services as ledger
from registry import moves, selectors
from registry.errors import InvalidInputError, NotAllowedError, RegistryError
from registry.models import AuditEvent, Key, Release
from registry.services import aliases, keys, refs, releases, transfers
from tests import builders
from tests.builders import alias_envelope, move_alias, private_key
from tests.ledger.builders import sequence
from tests.people import Person, make_person
from tests.registry import calls
from tests.registry.alias_calls import ALIASES, another, point, send
from tests.registry.calls import API
from tests.registry.houses import house_model, make_house

pytestmark = pytest.mark.usefixtures("opened")


# ------------------------------------------------------------------ moving


def test_alice_names_a_release_production_and_moves_it_on(
    alice: Person, bob: Person, first: Release, second: Release
) -> None:
    made = send(alice.api(), alias_envelope(first, private_key("alice")), note=" the first one ")
    assert made.status_code == 201, made.json()
    told = made.json()
    assert (told["number"], told["version"], told["previous"]) == (1, "1.0.0", None)
    assert (told["note"], told["author"], told["index"]) == ("the first one", "alice", None)
    moved = point(alice, second, first.revision_id)
    assert moved.status_code == 201, moved.json()
    assert moved.json()["previous"] == first.revision_id
    assert moved.json()["previous_version"] == "1.0.0"

    reader = bob.api("read")
    now = reader.get(f"{ALIASES}/Production").json()
    assert (now["alias"], now["version"], now["implied"]) == ("production", "2.0.0", False)
    assert now["move"]["number"] == 2
    history = reader.get(f"{ALIASES}/production/moves").json()
    assert [item["number"] for item in history["items"]] == [2, 1]
    assert history["next"] == ""
    assert reader.get(f"{ALIASES}/production/moves/1").json()["version"] == "1.0.0"
    assert calls.error(reader.get(f"{ALIASES}/production/moves/3")) == (404, "unknown_revision")
    rows = AuditEvent.objects.filter(action="alias.move", user=alice.user)
    assert [row.data["version"] for row in rows.order_by("pk")] == ["1.0.0", "2.0.0"]
    assert Key.objects.get(pk=first.key_id).last_used_at is not None


def test_the_list_has_latest_first_and_then_each_alias(
    alice: Person, bob: Person, first: Release, second: Release
) -> None:
    move_alias(alice, second, "staging")
    move_alias(alice, first, "production")
    items = bob.api("read").get(ALIASES).json()["items"]
    assert [(item["alias"], item["version"], item["implied"]) for item in items] == [
        ("latest", "2.0.0", True),
        ("production", "1.0.0", False),
        ("staging", "2.0.0", False),
    ]
    assert [item["move"] is None for item in items] == [True, False, False]


def test_a_model_without_a_release_has_no_alias(alice: Person) -> None:
    builders.make_model(alice)
    assert alice.api().get(ALIASES).json() == {"items": [], "next": ""}
    assert calls.error(alice.api().get(f"{ALIASES}/latest")) == (409, "not_released")
    assert calls.error(alice.api().get(f"{ALIASES}/production")) == (404, "unknown_revision")


def test_the_moves_come_in_pages(
    alice: Person, first: Release, second: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "PAGE", 2)
    for release in (first, second, first):
        move_alias(alice, release)
        sequence()  # else the third statement would be the first, word for word
    page = alice.api().get(f"{ALIASES}/production/moves").json()
    assert ([item["number"] for item in page["items"]], page["next"]) == ([3, 2], "2")
    rest = alice.api().get(f"{ALIASES}/production/moves?cursor=2").json()
    assert ([item["number"] for item in rest["items"]], rest["next"]) == ([1], "")
    bad = alice.api().get(f"{ALIASES}/production/moves?cursor=-1")
    assert calls.error(bad) == (400, "invalid_input")


def test_what_a_signer_must_see_is_what_is_taken(
    alice: Person, first: Release, second: Release
) -> None:
    move_alias(alice, first)
    seen = alice.api().get(f"{ALIASES}/production/signing?version=latest").json()
    assert (seen["version"], seen["revision"]) == ("2.0.0", second.revision_id)
    assert (seen["previous"], seen["previous_version"]) == (first.revision_id, "1.0.0")
    assert [item["name"] for item in seen["resources"]] == ["README.md", "model.onnx"]
    assert point(alice, second, seen["previous"], subject=seen["manifest"]).status_code == 201
    new = alice.api().get(f"{ALIASES}/staging/signing?version=1.0.0").json()
    assert (new["alias"], new["previous"]) == ("staging", None)


def test_a_stranger_checks_a_move_offline(alice: Person, first: Release) -> None:
    move_alias(alice, first)
    address = alice.api().get(f"{ALIASES}/production").json()["move"]["bundle_url"]
    client = APIClient()
    assert client.get(address).status_code == 404  # no checkpoint covers it yet
    sequence()
    answer = client.get(address)
    assert answer.status_code == 200
    key = TrustedKey(key=selectors.public_key(first.key), role="publisher", owner="alice")
    verified = verify_alias(
        answer.content,
        key=key,
        trusted_root=parse_trusted_root(ledger.trusted_root()),
        policy=None,
        manifest=selectors.manifest_of(first.revision),
    )
    assert verified.statement.predicate["alias"] == "production"
    move = alice.api().get(f"{ALIASES}/production").json()["move"]
    assert (move["index"], move["log"]) == (verified.index, ledger.newest_checkpoint().origin)


# ------------------------------------------------------------------ names


@pytest.mark.parametrize("name", ["latest", "Latest", "main", "infer", "a--b", "0" * 40, "-x"])
def test_a_reserved_or_bad_name_is_no_alias(alice: Person, first: Release, name: str) -> None:
    with pytest.raises(InvalidInputError):
        aliases.check_alias_name(first.model, name)
    answer = send(alice.api(), alias_envelope(first, private_key("alice"), name), name)
    assert calls.error(answer) == (400, "invalid_input")


def test_an_alias_and_a_version_never_share_a_name(alice: Person, first: Release) -> None:
    answer = send(alice.api(), alias_envelope(first, private_key("alice"), "1.0.0"), "1.0.0")
    assert calls.error(answer) == (409, "name_taken")
    refs.create_tag(alice.user, first.model, "blessed", "1.0.0")
    answer = send(alice.api(), alias_envelope(first, private_key("alice"), "Blessed"), "Blessed")
    assert calls.error(answer) == (409, "name_taken")
    move_alias(alice, first)
    for name in ("production", "Production"):
        with pytest.raises(RegistryError) as refused:
            another(alice, first, name)
        assert refused.value.code == "name_taken"
    for name in ("latest", "main"):
        with pytest.raises(InvalidInputError):
            another(alice, first, name)


def test_a_writer_may_not_put_a_branch_or_tag_over_an_alias(alice: Person, first: Release) -> None:
    """Branches and tags win on the hub's addresses, and need no signature."""
    move_alias(alice, first)
    for make in (refs.create_branch, refs.create_tag):
        for name in ("production", "Production", "latest"):
            with pytest.raises(RegistryError) as refused:
                make(alice.user, first.model, name, "main")
            assert refused.value.code == "name_taken"


def test_a_note_has_a_limit(alice: Person, first: Release) -> None:
    envelope = alias_envelope(first, private_key("alice"))
    answer = send(alice.api(), envelope, note="x" * 501)
    assert calls.error(answer) == (400, "invalid_input")
    with pytest.raises(InvalidInputError):
        aliases.move(alice.user, first.model, "production", envelope, first.key_id, note="x" * 501)


# ------------------------------------------------------------------ protection


def protect(person: Person, name: str, value: Any = True) -> Any:
    address = f"{ALIASES}/{name}/protection"
    return person.api().put(address, {"protected": value}, format="json")


def test_alice_protects_an_alias(
    alice: Person, mallory: Person, first: Release, second: Release
) -> None:
    move_alias(alice, first)
    assert calls.error(protect(mallory, "production")) == (403, "not_allowed")
    assert protect(alice, "production").json()["protected"] is True
    assert protect(alice, "production").json()["protected"] is True
    assert alice.api().get(f"{ALIASES}/production").json()["protected"] is True
    leaked = alias_envelope(second, private_key("alice"), previous=first.revision_id)
    refused = send(alice.api("publish"), leaked)  # what a build machine has
    assert calls.error(refused) == (403, "not_allowed")
    assert "scope 'admin'" in refused.json()["error"]["message"]
    assert point(alice, second, first.revision_id).status_code == 201
    assert protect(alice, "production", False).json()["protected"] is False
    actions = AuditEvent.objects.filter(action__startswith="alias.").order_by("pk")
    assert list(actions.values_list("action", flat=True)) == [
        *("alias.move", "alias.protect", "alias.move", "alias.unprotect"),
    ]
    assert calls.error(protect(alice, "latest")) == (400, "invalid_input")
    assert calls.error(protect(alice, "nothing")) == (404, "unknown_revision")
    assert calls.error(protect(alice, "production", "maybe")) == (400, "invalid_input")


# ------------------------------------------------------------------ houses, tokens, new owners


def test_in_a_house_publishers_move_aliases_and_writers_do_not(alice: Person, bob: Person) -> None:
    carol = make_person("carol")
    acme = make_house(alice, writer=bob, publisher=carol)
    revision = builders.make_revision(alice, house_model(alice, acme))
    private = private_key("acme")
    envelope = builders.key_envelope(private, "acme")
    key = keys.register(alice.user, envelope, name="build machine")
    pair = builders.KeyPair(private=private, public=selectors.public_key(key), row=key)
    release = builders.publish_release(alice, revision, key=pair)
    move = alias_envelope(release, private)
    body = {"envelope": move.to_dict(), "key": key.pk}
    address = f"{API}/models/acme/double/aliases/production/moves"
    refused = bob.api().post(address, body, format="json")
    assert calls.error(refused) == (403, "not_allowed")
    weak = carol.api("write").post(address, body, format="json")
    assert calls.error(weak) == (403, "not_allowed")
    assert carol.api("publish").post(address, body, format="json").status_code == 201
    protection = f"{API}/models/acme/double/aliases/production/protection"
    answer = carol.api().put(protection, {"protected": True}, format="json")
    assert calls.error(answer) == (403, "not_allowed")
    assert alice.api().put(protection, {"protected": True}, format="json").status_code == 200


def test_in_a_house_only_admins_move_what_is_protected(
    alice: Person, bob: Person, client: Client
) -> None:
    acme = make_house(alice, publisher=bob)
    revision = builders.make_revision(alice, house_model(alice, acme))
    key = keys.register(alice.user, builders.key_envelope(private_key("acme"), "acme"), name="ours")
    public = selectors.public_key(key)
    pair = builders.KeyPair(private=private_key("acme"), public=public, row=key)
    release = builders.publish_release(bob, revision, key=pair)
    move_alias(bob, release, private=pair.private)  # nothing protects it yet
    files = {"model.onnx": builders.ONNX, "README.md": builders.CARD + b"More.\n"}
    newer = builders.make_revision(bob, revision.model, files)
    second = builders.publish_release(bob, newer, version="2.0.0", key=pair)
    aliases.protect(alice.user, release.model, "production", protected=True)
    with pytest.raises(NotAllowedError, match="the role 'admin' in acme"):
        move_alias(bob, second, private=pair.private)
    client.force_login(bob.user)
    assert "Move it" not in client.get("/models/acme/double/aliases/production/").text
    form = "/publish/acme/double/alias/"
    assert client.get(form, {"alias": "production"}).status_code == 403
    assert client.get(form, {"alias": "staging"}).status_code == 200
    assert move_alias(bob, second, "staging", pair.private).number == 1
    client.force_login(alice.user)
    assert "Move it" in client.get("/models/acme/double/aliases/production/").text
    assert client.get(form, {"alias": "production"}).status_code == 200
    assert move_alias(alice, second, private=pair.private).number == 2


def test_who_gave_the_model_away_meanwhile_protects_nothing(
    alice: Person, bob: Person, first: Release
) -> None:
    move_alias(alice, first)
    seen = selectors.find_model("alice/double")
    transfers.accept(bob.user, transfers.offer(alice.user, first.model, to="bob").pk)
    with pytest.raises(NotAllowedError):
        aliases.protect(alice.user, seen, "production", protected=True)
    assert not moves.find_alias(selectors.find_model("bob/double"), "production").protected


def test_an_alias_goes_with_its_model_and_moves_on_by_the_new_owners_key(
    alice: Person, bob: Person, first: Release, second: Release
) -> None:
    move_alias(alice, first)
    row = transfers.offer(alice.user, first.model, to="bob")
    model = transfers.accept(bob.user, row.pk).model
    own = builders.make_key(bob)
    release = Release.objects.select_related("model__owner", "revision").get(pk=second.pk)
    address = f"{API}/models/bob/double/aliases/production/moves"
    previous = first.revision_id
    old = alias_envelope(release, private_key("alice"), previous=previous)
    body = {"envelope": old.to_dict(), "key": first.key_id}
    assert calls.error(bob.api().post(address, body, format="json")) == (403, "not_allowed")
    new = alias_envelope(release, own.private, previous=previous)
    body = {"envelope": new.to_dict(), "key": own.fingerprint}
    assert bob.api().post(address, body, format="json").status_code == 201
    assert [row.number for row in moves.moves_of(moves.find_alias(model, "production"))] == [2, 1]


# ------------------------------------------------------------------ what it meant


def test_what_production_meant_on_a_date(
    alice: Person, bob: Person, first: Release, second: Release
) -> None:
    before = move_alias(alice, first).created_at
    moved = move_alias(alice, second).created_at
    reader = bob.api("read")

    def meant(at: str) -> Any:
        answer = reader.get(f"{ALIASES}/production", {"at": at})
        assert answer.status_code == 200, answer.json()
        return answer.json()

    now = meant(timestamp(moved + timedelta(milliseconds=1)))
    assert (now["version"], now["move"]["number"]) == ("2.0.0", 2)
    assert meant(before.isoformat())["version"] == "1.0.0"
    earlier = meant("2020-02-29T00:00:00+02:00")
    assert (earlier["version"], earlier["move"]) == (None, None)
    assert earlier["at"] == "2020-02-28T22:00:00.000Z"


def test_what_latest_meant_on_a_date(alice: Person, first: Release, second: Release) -> None:
    releases.yank(alice.user, first.model, "2.0.0", reason="wrong weights")
    first.refresh_from_db()
    second.refresh_from_db()
    assert second.yanked_at is not None
    for at, version in (
        (first.created_at - timedelta(seconds=1), None),
        (first.created_at, "1.0.0"),
        (second.created_at, "2.0.0"),
        (second.yanked_at, "1.0.0"),
    ):
        found = moves.meaning(first.model, "Latest", at)
        assert (found.release.version if found.release else None) == version
        told = alice.api().get(f"{ALIASES}/latest", {"at": at.isoformat()}).json()
        assert (told["version"], told["move"]) == (version, None)
    assert alice.api().get(f"{ALIASES}/latest").json()["version"] == "1.0.0"


@pytest.mark.parametrize(
    "at",
    [
        *("", "yesterday", "2026-11-25", "2026-11-25T12:00:00", "2026-13-01T00:00:00Z"),
        *("2026-11-25T12:00:60Z", "20261125T120000Z", "2026-W48-3T00:00:00Z", "x" * 200),
        *("2026-11-25T12:00:00 01:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:00"),
    ],
)
def test_a_time_that_is_none_is_refused(alice: Person, first: Release, at: str) -> None:
    move_alias(alice, first)
    answer = alice.api().get(f"{ALIASES}/production", {"at": at})
    assert calls.error(answer) == (400, "invalid_input")
    assert answer.json()["error"]["detail"]["field"] == "at"


# ------------------------------------------------------------------ a version everywhere


def test_an_alias_is_a_version_of_the_api(alice: Person, first: Release, second: Release) -> None:
    move_alias(alice, first)
    sequence()
    base = f"{API}/models/alice/double/releases"
    for name, version in (("production", "1.0.0"), ("latest", "2.0.0"), ("1.0.0", "1.0.0")):
        assert alice.api().get(f"{base}/{name}").json()["version"] == version
    pinned = alice.api().get(f"{base}/{first.revision_id}").json()
    assert pinned["version"] == "1.0.0"
    signatures = [alice.api().get(f"{base}/{name}/model.sig") for name in ("production", "1.0.0")]
    assert signatures[0].content == signatures[1].content
    assert calls.error(alice.api().get(f"{base}/staging")) == (404, "unknown_revision")


def test_an_alias_does_not_name_what_is_withdrawn(alice: Person, first: Release) -> None:
    """A withdrawal is final, so it names the version itself."""
    move_alias(alice, first)
    address = f"{API}/models/alice/double/releases/production/yank"
    answer = alice.api().post(address, {"reason": "oops"}, format="json")
    assert calls.error(answer) == (404, "unknown_revision")
    assert Release.objects.get().yanked_at is None


def test_an_alias_names_a_revision_for_hub_clients(
    alice: Person, bob: Person, first: Release, second: Release
) -> None:
    move_alias(alice, first)
    assert refs.find(first.model, "production", bob.user).revision == first.revision
    assert refs.find(first.model, "latest", bob.user).revision == second.revision
    assert "production" not in dict(refs.tags(first.model, bob.user))
    releases.yank(alice.user, first.model, "2.0.0", reason="wrong weights")
    assert refs.find(first.model, "latest", bob.user).revision == first.revision


def test_aliases_of_a_private_model_are_its_owners(
    alice: Person, bob: Person, first: Release
) -> None:
    move_alias(alice, first)
    first.model.visibility = "private"
    first.model.save()
    assert alice.api().get(ALIASES).status_code == 200
    for address in (ALIASES, f"{ALIASES}/production", f"{ALIASES}/production/moves"):
        assert calls.error(bob.api().get(address)) == (404, "unknown_model")
