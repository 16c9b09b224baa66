from __future__ import annotations

import pytest
from django.test import Client

from registry.choices import Visibility
from registry.models import Model, Revision, Upload
from registry.services import card_edit, uploads
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
    assert "The card is saved" in as_alice.get(wizard(saved)).content.decode()
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
    assert "Nothing was changed" in as_alice.get(wizard(revision)).content.decode()
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
    assert "<h2>Twice</h2>" in good  # the page has its own h1
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


def test_who_was_signed_out_meanwhile_gets_the_card_back(alice: Person, reader: Client) -> None:
    revision = draft(alice)
    response = reader.post(wizard(revision) + "card/", {"card": "an hour of work"})
    assert response.status_code == 403
    text = response.content.decode()
    assert "an hour of work" in text
    assert f"/accounts/login/?next={wizard(revision)}" in text
    assert faults(parse(text)) == []


def test_the_slower_of_two_tabs_is_led_to_the_newest_revision(
    as_alice: Client, alice: Person
) -> None:
    revision = draft(alice)
    newer = card_edit.save(alice.user, revision, NEW_CARD)
    response = as_alice.post(wizard(revision) + "card/", {"card": NEW_CARD + "more"})
    assert response.status_code == 400
    text = response.content.decode()
    assert f'href="{wizard(newer)}"' in text
    assert "Times two.\nmore" in text


def test_alice_discards_an_upload_and_mallory_none_of_hers(
    as_alice: Client, as_bob: Client, alice: Person
) -> None:
    upload = uploads.declare(alice.user, size=10, sha256="ab" * 32).upload
    assert upload is not None
    as_bob.post(f"/me/uploads/{upload.pk}/discard/")
    assert Upload.objects.exists()
    assert f"/me/uploads/{upload.pk}/discard/" in as_alice.get("/me/uploads/").content.decode()
    assert as_alice.post(f"/me/uploads/{upload.pk}/discard/").status_code == 302
    assert not Upload.objects.exists()


def test_who_signs_for_a_private_model_is_told_that_the_ledger_is_public(
    site: Site, as_alice: Client
) -> None:
    words = "This model is private, the ledger is not"
    draft_of = builders.make_revision(site.alice, site.secret, {"README.md": b"# Two\n"})
    page = as_alice.get(f"{wizard(draft_of)}sign/")
    assert words in page.content.decode()
    assert "which become public" in page.content.decode()
    assert faults(parse(page.content.decode())) == []
    public = builders.make_revision(site.alice, site.release.model, {"README.md": b"# Two\n"})
    assert words not in as_alice.get(f"{wizard(public)}sign/").content.decode()
