"""Editing a card by fields: what is not changed stays byte for byte."""

from __future__ import annotations

import pytest
from django.test import Client

from registry.errors import ConflictError, NotAllowedError, RefusedFileError
from registry.models import Revision
from registry.services import card_edit, card_fields
from registry.yaml_core import YamlRefusedError, load
from registry.yaml_edit import CannotEditError, Value, edit
from tests import builders
from tests.people import Person
from tests.registry.calls import error

API = "/api/v1"
KEPT = """\
# The card of a model; lines like this one are its publisher's.
license: mit   # chosen by our lawyers
language:
  - en  # English
  - fr
# about the task
pipeline_tag: "image-classification"
assay: {labels: ['0', "1"]}   # not the hub's key
tags: [a,   b]
"""
CARD = f"---\n{KEPT}---\n\n# Double\n\nAdds a tensor to itself.\n"


def revise(person: Person, text: str = CARD) -> Revision:
    files = {"model.onnx": builders.ONNX, "README.md": text.encode()}
    return builders.make_revision(person, files=files)


def stored(revision: Revision) -> str:
    return card_edit.read(revision).decode()


# ------------------------------------------------------------------ the YAML alone


def test_one_value_changes_and_nothing_else() -> None:
    assert edit(KEPT, {"license": "apache-2.0"}) == KEPT.replace("mit ", "apache-2.0 ")
    assert edit(KEPT, {"tags": ["a", "c"]}) == KEPT.replace("[a,   b]", "[a, c]")
    assert edit(KEPT, {"pipeline_tag": "other"}) == KEPT.replace('"image-classification"', "other")


def test_a_list_in_lines_stays_one() -> None:
    new = edit(KEPT, {"language": ["de", "no"]})
    assert new == KEPT.replace("  - en  # English\n  - fr\n", "  - de\n  - 'no'\n")


def test_a_new_key_comes_last_and_an_old_one_goes_with_its_lines() -> None:
    assert edit(KEPT, {"new_version": "alice/triple"}) == f"{KEPT}new_version: alice/triple\n"
    assert edit(KEPT, {"language": None}) == KEPT.replace(
        "language:\n  - en  # English\n  - fr\n", ""
    )
    assert edit(KEPT, {"metrics": None}) == KEPT


def test_a_change_to_the_same_is_none() -> None:
    assert edit(KEPT, {"language": ["en", "fr"], "tags": ["a", "b"], "license": "mit"}) == KEPT


@pytest.mark.parametrize(
    ("block", "changes", "result"),
    [
        ("", {"license": "mit"}, "license: mit\n"),
        ("# only\n", {"license": "mit"}, "# only\nlicense: mit\n"),
        ("a: 1", {"license": "mit"}, "a: 1\nlicense: mit\n"),
        ("license:\nb: 1\n", {"license": "mit"}, "license: mit\nb: 1\n"),
        ("tags:\n- a\n\n# c\nb: 1\n", {"tags": "x"}, "tags: x\n\n# c\nb: 1\n"),
        ("a: |\n  x\n  y\nb: 1\n", {"a": "z"}, "a: z\nb: 1\n"),
        ("a: |\n  x\n  y\nb: 1\n", {"a": None}, "b: 1\n"),
        ("a: 'x\n  y' # c\n", {"a": "z"}, "a: z # c\n"),
        ("  a: x\n  b: y\n", {"b": "z", "c": "w"}, "  a: x\n  b: z\n  c: w\n"),
        ("a: x\r\ntags:\r\n- b\r\n", {"tags": ["c", "d"]}, "a: x\r\ntags:\r\n- c\r\n- d\r\n"),
        ("a: x\r\n", {"b": "y"}, "a: x\r\nb: y\r\n"),
        ("a: x # one\nb: y # two", {"b": None}, "a: x # one\n"),
        ("m: {a: [1,\n  2]}\nb: y\n", {"m": "z"}, "m: z\nb: y\n"),
        ('"a" : x\n', {"a": "y"}, '"a" : y\n'),
    ],
)
def test_an_edit_by_example(block: str, changes: dict[str, Value | None], result: str) -> None:
    assert edit(block, changes) == result


@pytest.mark.parametrize(
    "text",
    [
        *("no", "12:30", "2025-01-01", "0x1f", "1e3", "~", "null", "it's", "a: b", "# c", "- d"),
        *("*e", "&f", "!g", "[h", "{i", "two\nlines", "tab\there", '"quoted"', "back\\slash"),
        *(" edge ", "é", "trailing:", "a #b", "%x", "@x", "1_000", "=", "<<", "yes", ".5", "012"),
    ],
)
def test_a_text_stays_this_text_for_every_reader(text: str) -> None:
    wanted: tuple[Value, Value] = (text, [text, "x"])
    for one in wanted:
        value, warnings = load(edit("b: 1\n", {"a": one}))
        assert (value["a"], warnings) == (one, [])


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ("{license: mit}\n", "braces"),
        ("? license\n: mit\n", "? key"),
        ("- a\n", "not a mapping"),
    ],
)
def test_what_is_not_edited_by_keys_is_said(block: str, words: str) -> None:
    with pytest.raises(CannotEditError, match=words.replace("?", r"\?")):
        edit(block, {"license": "x"})


def test_a_text_that_yaml_cannot_hold_is_refused_and_changes_nothing() -> None:
    with pytest.raises(CannotEditError, match="would not be readable"):
        edit("b: 1\n", {"a": "\x7f"})
    with pytest.raises(CannotEditError, match="would not be readable"):
        edit("b: 1\n", {"a": "x" * 70_000})


def test_a_key_that_the_form_of_the_value_hides_is_not_edited_by_halves() -> None:
    """Whatever the marks say, the result is read again before it counts."""
    assert edit("b: 1\n", {"a": None}) == "b: 1\n"
    with pytest.raises(YamlRefusedError):
        edit("a: &x 1\n", {"a": "b"})


def test_a_line_that_only_looks_like_the_next_key_is_seen(alice: Person) -> None:
    """A value that ends where PyYAML says that the next thing begins must not eat a comment."""
    block = "a:\n  b:\n    - c: 1\n      d: [2,\n   3]\n# mine\nlicense: mit\n"
    assert edit(block, {"a": None}) == "# mine\nlicense: mit\n"
    assert edit(block, {"license": "x"}) == block.replace("mit", "x")


# ------------------------------------------------------------------ what a form says


def test_a_form_that_shows_what_the_card_says_changes_nothing() -> None:
    metadata, _ = load(KEPT)
    given = {field.key: card_fields.shown(field, metadata) or "" for field in card_fields.FIELDS}
    assert given["language"] == "en, fr"
    assert card_fields.changes(metadata, given) == {}


def test_a_structure_in_the_place_of_a_text_is_left_alone() -> None:
    metadata = {"tags": ["a,b", "c"], "license_name": 3}
    assert card_fields.changes(metadata, {"tags": "", "license_name": ""}) == {}
    assert card_fields.changes({}, {"tags": " a,,b , a"}) == {"tags": ["a", "b"]}
    assert card_fields.changes({"tags": "a"}, {"tags": ""}) == {"tags": None}


# ------------------------------------------------------------------ the file


def test_a_saved_field_makes_a_revision_with_one_change(alice: Person) -> None:
    before = revise(alice)
    after = card_edit.save_fields(alice.user, before, {"license": "apache-2.0"})
    assert after.parent_id == before.pk
    assert stored(after) == CARD.replace("mit ", "apache-2.0 ")
    assert after.card_metadata["license"] == "apache-2.0"
    assert after.files.count() == 2


def test_saving_nothing_new_makes_no_revision(alice: Person) -> None:
    before = revise(alice)
    body = "\r\n# Double\r\n\r\nAdds a tensor to itself.\r\n"  # as a browser sends it back
    assert card_edit.save_fields(alice.user, before, {"license": "mit"}, body).pk == before.pk


def test_the_text_changes_and_the_metadata_stays(alice: Person) -> None:
    after = card_edit.save_fields(alice.user, revise(alice), {}, "# Other\r\nwords")
    assert stored(after) == f"---\n{KEPT}---\n# Other\nwords"


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("\ufeff---\nlicense: mit\n---\nbody", "\ufeff---\nlicense: isc\n---\nbody"),
        ("\n\n---  \r\nlicense: mit\r\n---\r\nb\r\n", "\n\n---  \r\nlicense: isc\r\n---\r\nb\r\n"),
        ("# No metadata\n", "---\nlicense: isc\n---\n# No metadata\n"),
        ("\ufeff# Mark\n", "\ufeff---\nlicense: isc\n---\n# Mark\n"),
        ("# Lines\r\nend\r\n", "---\r\nlicense: isc\r\n---\r\n# Lines\r\nend\r\n"),
        ("---\r\n---\r\nbody\r\n", "---\r\nlicense: isc\r\n---\r\nbody\r\n"),
        ("---\nnot closed: 1\n", "---\nlicense: isc\n---\n---\nnot closed: 1\n"),
        ("", "---\nlicense: isc\n---\n"),
    ],
)
def test_marks_and_line_ends_are_kept(text: str, result: str) -> None:
    assert card_edit.with_fields(text.encode(), {"license": "isc"}) == result


def test_a_card_in_braces_is_edited_as_text(alice: Person) -> None:
    before = revise(alice, "---\n{license: mit}\n---\nbody\n")
    with pytest.raises(RefusedFileError) as caught:
        card_edit.save_fields(alice.user, before, {"license": "isc"})
    assert caught.value.detail["remedy"] == "Edit the card as text."


def test_a_field_that_makes_the_card_wrong_is_refused(alice: Person) -> None:
    before = revise(alice)
    with pytest.raises(RefusedFileError, match="no license id"):
        card_edit.save_fields(alice.user, before, {"license": "mine"})
    before.model.refresh_from_db()
    assert before.model.head_id == before.pk


def test_a_stale_form_does_not_undo_what_came_between(alice: Person) -> None:
    stale = revise(alice)
    newer = card_edit.save_fields(alice.user, stale, {"license": "isc"})
    with pytest.raises(ConflictError) as caught:
        card_edit.save_fields(alice.user, stale, {"tags": "mine"})
    assert caught.value.detail["head"] == newer.pk
    stale.model.refresh_from_db()
    assert stale.model.head_id == newer.pk


def test_mallory_may_not_edit_alices_card(alice: Person, mallory: Person) -> None:
    with pytest.raises(NotAllowedError):
        card_edit.save_fields(mallory.user, revise(alice), {"license": "isc"})


# ------------------------------------------------------------------ API


def test_alice_edits_her_card_through_the_api(alice: Person) -> None:
    before = revise(alice)
    address = f"{API}/models/alice/double/card"
    body = {"parent": before.pk, "fields": {"tags": "a, b, c"}, "body": "# New\n"}
    answer = alice.api().patch(address, body, format="json").json()
    assert answer["text"] == f"---\n{KEPT.replace('[a,   b]', '[a, b, c]')}---\n# New\n"
    assert answer["metadata"]["tags"] == ["a", "b", "c"]
    assert answer["release"] is None
    text = alice.api().patch(
        address, {"parent": answer["revision"], "text": "# Bare\n"}, format="json"
    )
    assert text.json()["text"] == "# Bare\n"
    assert "no metadata" in text.json()["warnings"][0]
    newest = Client().get(address).json()
    assert (newest["text"], newest["revision"]) == ("# Bare\n", text.json()["revision"])
    assert Client().get(address, {"revision": before.pk}).json()["text"] == CARD


def test_the_api_says_what_is_wrong_with_an_edit(alice: Person, mallory: Person) -> None:
    before = revise(alice)
    address = f"{API}/models/alice/double/card"
    parent = {"parent": before.pk}

    def patch(person: Person, **body: object) -> tuple[int, str]:
        return error(person.api().patch(address, {**parent, **body}, format="json"))

    assert patch(alice, fields={"thumbnail": "x"}) == (400, "invalid_input")
    assert patch(alice, text="x", body="y") == (400, "invalid_input")
    assert patch(alice, fields={"license": "x"}) == (400, "refused_file")
    assert patch(alice, parent="0" * 40, text="x") == (404, "unknown_revision")
    assert patch(mallory, text="x") == (403, "not_allowed")
    builders.make_model(alice, "empty")
    assert error(Client().get(f"{API}/models/alice/empty/card")) == (404, "unknown_revision")
    assert stored(before) == CARD


# ------------------------------------------------------------------ page


def test_alice_edits_by_the_form_and_signs_out_in_between(alice: Person) -> None:
    before = revise(alice)
    client, path = Client(), f"/publish/alice/double/{before.pk}/metadata/"
    assert client.get(path).status_code == 302
    lost = client.post(path, {"body": "typed words"})
    assert (lost.status_code, "typed words" in lost.content.decode()) == (403, True)
    client.force_login(alice.user, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get(path).content.decode()
    assert 'value="en, fr"' in page
    assert '<option value="mit" selected>' in page
    assert "<textarea" in page
    assert "\n\n# Double" in page  # a browser leaves out the first line end of a textarea
    saved = client.post(path, {"license": "isc", "body": before.card_body})
    assert saved.status_code == 302
    before.model.refresh_from_db()
    after = Revision.objects.get(pk=before.model.head_id)
    assert stored(after) == CARD.replace("mit ", "isc ")
    again = client.post(saved["Location"], {"license": "isc"}, follow=True)
    assert "Nothing was changed" in again.content.decode()


def test_the_form_gives_back_what_it_refused(alice: Person) -> None:
    before = revise(alice)
    client, path = Client(), f"/publish/alice/double/{before.pk}/metadata/"
    client.force_login(alice.user, backend="django.contrib.auth.backends.ModelBackend")
    bad = client.post(path, {"license": "mine", "language": "english!", "body": "my words"})
    assert bad.status_code == 400
    page = bad.content.decode()
    for part in ("no license id", "language code", "my words", 'value="english!"'):
        assert part in page
    assert '<option value="mine" selected>' in page
    newer = card_edit.save_fields(alice.user, before, {"license": "isc"})
    stale = client.post(path, {"tags": "mine"})
    assert stale.status_code == 409
    assert f"/publish/alice/double/{newer.pk}/metadata/" in stale.content.decode()


def test_mallory_sees_no_form_of_alices(alice: Person, mallory: Person) -> None:
    before = revise(alice)
    client = Client()
    client.force_login(mallory.user, backend="django.contrib.auth.backends.ModelBackend")
    path = f"/publish/alice/double/{before.pk}/metadata/"
    assert client.get(path).status_code == 403
    assert client.post(path, {"license": "isc"}).status_code == 403
