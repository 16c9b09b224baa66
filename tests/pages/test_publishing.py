from __future__ import annotations

import pytest
from django.test import Client

from registry.choices import Visibility
from registry.models import Model, Revision
from registry.services import card_edit
from tests import builders
from tests.pages.conftest import Site
from tests.pages.html import faults, parse
from tests.people import Person

NEW_CARD = "---\nlicense: mit\n---\n# Twice\n\nTimes two.\n"


def draft(alice: Person) -> Revision:
    return builders.make_revision(alice)


def wizard(revision: Revision) -> str:
    return f"/publish/{revision.model.full_name}/{revision.pk}/"


def test_alice_makes_a_model_and_goes_on_to_its_files(as_alice: Client, alice: Person) -> None:
    response = as_alice.post("/publish/", {"name": "fresh", "visibility": "private"})
    assert response.status_code == 302
    assert response["Location"] == "/publish/alice/fresh/"
    model = Model.objects.get(owner=alice.owner)
    assert model.visibility == Visibility.PRIVATE
    page = parse(as_alice.get("/publish/alice/fresh/").content.decode())
    (main,) = page.all("main")
    assert main.attributes["data-page"] == "publish-files"
    assert main.attributes["data-model"] == "alice/fresh"
    assert main.attributes["data-parent"] == ""
    ids = {tag.attributes.get("id") for tag in page.tags}
    assert {"files", "folder", "drop", "file-rows", "upload", "commit", "upload-summary"} <= ids


@pytest.mark.parametrize("name", ["", "a--b", "../x", "infer", "x" * 97])
def test_a_bad_model_name_is_refused_and_stays_typed(name: str, as_alice: Client) -> None:
    response = as_alice.post("/publish/", {"name": name, "visibility": "public"})
    assert response.status_code == 400
    page = parse(response.content.decode())
    assert faults(page) == []
    (field,) = [tag for tag in page.all("input") if tag.attributes.get("name") == "name"]
    assert field.attributes.get("value", "") == name
    assert not Model.objects.exists()


def test_a_taken_name_says_so(as_alice: Client, alice: Person) -> None:
    builders.make_model(alice, "double")
    response = as_alice.post("/publish/", {"name": "Double", "visibility": "public"})
    assert response.status_code == 400
    assert "exists already" in response.content.decode()


def test_the_card_is_stored_byte_for_byte(as_alice: Client, alice: Person) -> None:
    revision = draft(alice)
    typed = NEW_CARD.replace("\n", "\r\n")  # as every browser sends a textarea
    response = as_alice.post(f"{wizard(revision)}card/", {"card": typed})
    assert response.status_code == 302
    saved = Model.objects.get().head
    assert saved is not None
    assert saved != revision
    assert response["Location"] == wizard(saved)
    assert card_edit.read(saved) == NEW_CARD.encode()
    assert saved.card_metadata == {"license": "mit"}
    assert saved.state == revision.state  # the graph is the same: it is not inspected again


def test_an_unchanged_card_makes_no_revision(as_alice: Client, alice: Person) -> None:
    revision = draft(alice)
    page = parse(as_alice.get(wizard(revision)).content.decode())
    (area,) = page.all("textarea")
    shown = area.text.removeprefix("\n")
    assert shown == builders.CARD.decode()
    response = as_alice.post(f"{wizard(revision)}card/", {"card": shown.replace("\n", "\r\n")})
    assert response["Location"] == wizard(revision)
    assert Revision.objects.count() == 1


def test_a_card_with_windows_endings_keeps_them(as_alice: Client, alice: Person) -> None:
    card = builders.CARD.replace(b"\n", b"\r\n")
    revision = builders.make_revision(alice, files={"model.onnx": builders.ONNX, "README.md": card})
    typed = (card + b"More.\r\n").decode()
    as_alice.post(f"{wizard(revision)}card/", {"card": typed})
    head = Model.objects.get().head
    assert head is not None
    assert card_edit.read(head) == typed.encode()


def test_a_refused_card_is_told_why_and_stays_typed(as_alice: Client, alice: Person) -> None:
    revision = draft(alice)
    typed = "---\nlicense: mit\nlicense: apache-2.0\n---\n# Two </textarea><b>licences\n"
    response = as_alice.post(f"{wizard(revision)}card/", {"card": typed})
    assert response.status_code == 400
    page = parse(response.content.decode())
    assert faults(page) == []
    (area,) = page.all("textarea")
    assert area.text.removeprefix("\n") == typed
    assert any(tag.attributes.get("role") == "alert" for tag in page.tags)
    assert Revision.objects.count() == 1


def test_a_card_saved_from_an_old_page_is_a_conflict(as_alice: Client, alice: Person) -> None:
    old = draft(alice)
    builders.make_revision(alice, old.model, {"model.onnx": builders.ONNX, "README.md": b"# New\n"})
    response = as_alice.post(f"{wizard(old)}card/", {"card": NEW_CARD})
    assert response.status_code == 400
    assert "moved on" in response.content.decode()
    assert "Times two." in response.content.decode()


def test_a_model_without_a_card_gets_a_start(as_alice: Client, alice: Person) -> None:
    revision = builders.make_revision(alice, files={"model.onnx": builders.ONNX})
    page = parse(as_alice.get(wizard(revision)).content.decode())
    (area,) = page.all("textarea")
    assert "| `x` | FP32 [n, 2] | <meaning> |" in area.text
    assert as_alice.get(f"{wizard(revision)}sign/")["Location"] == wizard(revision)


def test_the_inspection_is_asked_for_until_it_is_done(site: Site, as_alice: Client) -> None:
    waiting = f"{wizard(site.waiting)}inspection/"
    text = as_alice.get(waiting).content.decode()
    assert 'hx-trigger="every 2s"' in text
    assert faults(parse(text), whole=False) == []
    done = as_alice.get(f"{wizard(site.release.revision)}inspection/")
    assert "hx-trigger" not in done.content.decode()
    assert done["HX-Refresh"] == "true"


def test_the_preview_shows_the_card_and_its_faults(as_alice: Client) -> None:
    good = as_alice.post("/publish/preview/", {"card": NEW_CARD}).content.decode()
    assert "<h1>Twice</h1>" in good
    assert "mit" in good
    bad = as_alice.post("/publish/preview/", {"card": "---\na: b: c\n---\n"}).content.decode()
    assert "cannot be saved" in bad


def test_the_signing_page_has_what_its_script_looks_for(as_alice: Client, alice: Person) -> None:
    revision = draft(alice)
    text = as_alice.get(f"{wizard(revision)}sign/").content.decode()
    page = parse(text)
    assert faults(page) == []
    (main,) = page.all("main")
    assert main.attributes["data-page"] == "publish-sign"
    assert main.attributes["data-revision"] == revision.pk
    ids = {tag.attributes.get("id") for tag in page.tags}
    wanted = {"key-choice", "make-key", "version", "notes", "read", "sign", "sign-error"}
    assert wanted | {"statement-oms", "statement-card", "statement-release"} <= ids


@pytest.mark.parametrize("step", ["", "{revision}/", "{revision}/inspection/", "{revision}/sign/"])
def test_bob_may_not_enter_the_wizard_of_alice(step: str, site: Site, as_bob: Client) -> None:
    path = f"/publish/{site.model}/" + step.format(revision=site.release.revision_id)
    response = as_bob.get(path)
    assert response.status_code == 403
    assert faults(parse(response.content.decode())) == []


def test_bob_may_not_change_a_card_of_alice(site: Site, as_bob: Client) -> None:
    path = f"{wizard(site.release.revision)}card/"
    assert as_bob.post(path, {"card": NEW_CARD}).status_code == 403
