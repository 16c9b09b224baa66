"""A card where people meet it: the check before a commit, the checklist, templates, lineage."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from registry import lineage
from registry.choices import Visibility
from registry.models import FormerName, Model, Revision
from registry.services import cards
from registry.services.cards_checklist import checklist, sections
from registry.views.card_parts import card_context
from registry.views.draft import TEMPLATE_KEYS, draft_card
from tests import builders
from tests.people import Person
from tests.registry.calls import error

API = "/api/v1"
HOSTILE = """\
---
license: mit
tags: ["<script>alert(1)</script>", "\\"><img src=x onerror=alert(1)>"]
base_model: ["javascript:alert(1)", "<b>bold</b>", "../../admin"]
base_model_relation: "<i>"
datasets: "</dd><script>"
library_name: "{{ 7|add:7 }}"
---
<script>alert(1)</script>

[a](javascript:alert(1)) [b](data:text/html;base64,PHNjcmlwdD4=) [c](//evil.example)

![tracker](https://evil.example/p.png) <img src="https://evil.example/q.png">

<iframe src="https://evil.example"></iframe> <svg onload=alert(1)>

[d]: javascript:alert(1)
[d] [e](vbscript:x) <javascript:alert(1)> [f](https://ok.example "x\\" onmouseover=\\"y")
"""


def revise(person: Person, text: str, name: str = "double") -> Revision:
    model = Model.objects.filter(owner=person.owner, name=name).first()
    model = model or builders.make_model(person, name)
    files = {"model.onnx": builders.ONNX, "README.md": text.encode()}
    return builders.make_revision(person, model, files)


def card(**keys: object) -> str:
    lines = "".join(f"{key}: {value}\n" for key, value in keys.items())
    return f"---\nlicense: mit\n{lines}---\n# Model\n"


# ------------------------------------------------------------------ the check


def test_a_check_tells_what_a_commit_would_say(alice: Person) -> None:
    def check(text: str) -> dict[str, Any]:
        answer = alice.api().post(f"{API}/cards/check", {"content": text}, format="json")
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()
        return found

    good = check("---\nlicense: mit\nlanguage: no\n---\n# Title\n")
    assert good["errors"] == []
    assert good["warnings"] == ["line 2: quote this value, 'no'"]
    assert good["metadata"] == {"license": "mit", "language": "no"}
    assert good["body_html"] == "<h1>Title</h1>\n"
    bad = check("---\nlicense: mine\nlanguage: english!\n---\n")
    assert [line[:9] for line in bad["errors"]] == ["'mine' is", "'english!"]
    assert "metadata" not in bad
    assert error(Client().post(f"{API}/cards/check", {})) == (401, "not_authenticated")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("\ud800", "not UTF-8"),
        ("x" * (257 * 1024), "larger than 256 kB"),
        ("---\na: &a [*a]\n---\n", "anchor"),
        ("---\n" + "".join(f"a{n}: &a{n} [x]\n" for n in range(9)) + "---\n", "anchor"),
        ("---\na: *b\n---\n", "alias"),
        ("---\nlicense: mit\nlicense: isc\n---\n", "second time"),
        ("---\na: .NaN\n---\n", ".NaN"),
        ("---\na: 1e999\n---\n", "2^53"),
        ("---\na: " + "{b: " * 17 + "1" + "}" * 17 + "\n---\n", "deeper than 16"),
        ("---\n- license\n---\n", "not a mapping"),
        ("---\nlicense: other\n---\n", "license_name"),
        ("---\npipeline_tag: magic\n---\n", "pipeline_tag"),
        ("---\nmodel-index: []\nlanguage: [en, 7]\n---\n", "'language'"),
    ],
)
def test_a_hostile_card_is_refused_in_words(content: str, words: str) -> None:
    found = cards.validate(content)
    assert found.card is None
    assert words in " ".join(found.errors)


@pytest.mark.parametrize(
    "block",
    [
        *("a: " + "[" * 60_000, "? " * 30_000, "a: [" + "1," * 9_000 + "]", "{" * 60_000),
        *("a: " + "1:" * 30_000, "- " * 30_000, "a: " + "9" * 60_000, "a: '" + "''" * 30_000 + "'"),
    ],
)
def test_a_bomb_of_yaml_is_over_in_a_moment(block: str) -> None:
    before = time.process_time()
    cards.validate(f"---\n{block}\n---\n")
    assert time.process_time() - before < 10


def test_a_card_of_other_readers_words_is_warned_about() -> None:
    found = cards.validate("---\nlicense: mit\non: a\nb: 0o17\nc: 1_0\nd: =\n---\n")
    assert [line.split(":")[0] for line in found.warnings] == [
        "line 2",
        "line 3",
        "line 4",
        "line 5",
    ]


# ------------------------------------------------------------------ the checklist


def missing(text: str) -> list[str]:
    found = cards.parse(text.encode())
    return [item.key for item in checklist(found.metadata, found.body) if not item.done]


def test_an_empty_card_lacks_what_every_reader_looks_for() -> None:
    assert missing("# Title\n") == [
        "license",
        "description",
        "task",
        "uses",
        "limits",
        "data",
        "evaluation",
    ]


def test_a_template_that_nobody_filled_in_says_nothing(alice: Person) -> None:
    model = builders.make_model(alice, "empty")
    for key in TEMPLATE_KEYS:
        text = draft_card(model, builders.REPORT["facts"], key)
        assert cards.validate(text).errors == ()
        gaps = missing(text)
        assert {"license", "limits", "evaluation"} <= set(gaps), key
        assert text.count("| `x` | FP32 [n, 2] | <meaning> |") == 1


def test_a_card_that_says_all_lacks_nothing() -> None:
    words = "that is said here in full words"
    heads = ("Intended uses", "Limitations", "Training data", "Evaluation")
    text = "".join(f"## {head}\n\nThe thing {words}.\n\n" for head in heads)
    head = "license: mit\npipeline_tag: text-classification\nlanguage: en\n"
    assert missing(f"---\n{head}---\n# Title\n\nIt does {words}.\n\n{text}") == []


def test_what_one_key_asks_for_another_gives() -> None:
    assert "language" in missing("---\npipeline_tag: text-generation\n---\n")
    assert "language" not in missing("---\npipeline_tag: image-to-image\n---\n")
    assert "base_model" in missing("---\nbase_model_relation: merge\n---\n")
    assert "base_model" not in missing("---\nbase_model_relation: merge\nbase_model: a/b\n---\n")
    assert "license" in missing("---\nlicense: unknown\n---\n")


def test_sections_of_one_title_are_one() -> None:
    assert sections("a\n# X\nb\n## Y\nc\n# x\nd\n") == {"": "a\n", "x": "\nb\n\nd\n", "y": "\nc\n"}


def test_only_who_may_write_is_told_what_is_missing(alice: Person) -> None:
    revise(alice, card())
    told = "things that readers look for are missing"
    assert told not in Client().get("/models/alice/double/").content.decode()
    client = Client()
    client.force_login(alice.user, backend="django.contrib.auth.backends.ModelBackend")
    assert told in client.get("/models/alice/double/").content.decode()


def test_alice_chooses_a_template_for_a_new_card(alice: Person) -> None:
    files = {"model.onnx": builders.ONNX}
    revision = builders.make_revision(alice, files=files)
    client = Client()
    client.force_login(alice.user, backend="django.contrib.auth.backends.ModelBackend")
    path = f"/publish/alice/double/{revision.pk}/"
    assert "## How it was made\n" in client.get(path).content.decode()
    assert "## Limitations, bias" in client.get(path, {"template": "detailed"}).content.decode()
    assert "base_model_relation" in client.get(path, {"template": "derived"}).content.decode()
    other = client.get(path, {"template": "<script>"}).content.decode()
    assert "## How it was made\n" in other
    assert "<strong>a short card</strong>" in other


# ------------------------------------------------------------------ lineage


def test_a_parent_that_is_here_is_linked_and_its_children_are_listed(
    alice: Person, bob: Person
) -> None:
    parent = revise(alice, card(), "base")
    child = revise(bob, card(base_model="Alice/base", base_model_relation="finetune"), "child")
    revise(bob, card(base_model="[elsewhere/x, alice/base, a, /, 'a/b/c']"), "second")
    found = lineage.parents(child.card_metadata)
    assert [(row.name, row.model) for row in found] == [("Alice/base", "alice/base")]
    names = [row.model for row in lineage.children(parent.model)]
    assert names == ["bob/second"]  # a name is found as statements spell it
    revise(bob, card(base_model="alice/base", base_model_relation="finetune"), "child")
    told = Client().get(f"{API}/models/alice/base/lineage").json()
    assert told == {
        "parents": [],
        "relation": None,
        "children": [
            {"model": "bob/child", "relation": "finetune"},
            {"model": "bob/second", "relation": None},
        ],
    }
    second = Client().get(f"{API}/models/bob/second/lineage").json()
    assert [row["model"] for row in second["parents"]] == [None, "alice/base", None, None, None]
    page = Client().get("/models/alice/base/").content.decode()
    assert 'href="/models/bob/child/"' in page
    assert 'href="/models/alice/base/"' in Client().get("/models/bob/child/").content.decode()


def test_a_card_that_names_no_model_has_no_parents(alice: Person) -> None:
    assert lineage.parents({}) == []
    assert lineage.parents({"base_model": [1, ""]}) == []
    assert [row.model for row in lineage.parents({"base_model": "no name"})] == [""]
    with CaptureQueriesContext(connection) as queries:
        assert lineage.parents({"base_model": "a\0/b"})[0].model == ""
    assert len(queries) == 0
    assert card_context(None, None, writer=False) == {}


def test_a_child_is_what_its_shown_card_says(alice: Person, bob: Person) -> None:
    parent = revise(alice, card(), "base").model
    first = revise(bob, card(base_model="alice/base"), "child")
    builders.publish_release(bob, first)
    revise(bob, card(), "child")
    assert [row.model for row in lineage.children(parent)] == ["bob/child"]
    later = revise(bob, card(tags="[x]"), "child")
    key = builders.known_key(bob.owner.keys.get(), bob)
    builders.publish_release(bob, later, version="2.0.0", key=key)
    assert lineage.children(parent) == []


def test_a_private_child_or_parent_is_nobody_elses_to_know(alice: Person, bob: Person) -> None:
    secret = builders.make_model(bob, "secret", Visibility.PRIVATE)
    parent = revise(alice, card(base_model="bob/secret"), "base")
    revise(bob, card(base_model="alice/base"), "secret")
    assert lineage.children(parent.model) == lineage.children(parent.model, alice.user) == []
    assert [row.model for row in lineage.children(parent.model, bob.user)] == ["bob/secret"]
    assert lineage.parents(parent.card_metadata, alice.user)[0].model == ""
    assert lineage.parents(parent.card_metadata, bob.user)[0].model == secret.full_name


def test_a_model_is_found_by_the_name_that_it_had(alice: Person, bob: Person) -> None:
    parent = revise(alice, card(), "base").model
    for name in ("dave/older", "carol/old"):
        FormerName.objects.create(name=name, model=parent)
    child = revise(bob, card(base_model="carol/old"), "child")
    assert lineage.parents(child.card_metadata)[0].model == "alice/base"
    assert [row.model for row in lineage.children(parent)] == ["bob/child"]


# ------------------------------------------------------------------ the page


def test_a_hostile_card_is_only_words_on_its_page(alice: Person) -> None:
    builders.publish_release(alice, revise(alice, HOSTILE))
    page = Client().get("/models/alice/double/").content.decode()
    for part in ("<script>alert", "<iframe", "<svg onload", "evil.example/p.png", "<b>bold"):
        assert part not in page, part
    for part in ('href="javascript', 'href="data:', 'href="vbscript', "<img", 'onmouseover="'):
        assert part not in page, part
    assert "14" not in page.partition("{{ 7|add:7 }}")[1]
    assert "{{ 7|add:7 }}" in page


def test_the_page_marks_whose_word_each_thing_is(alice: Person) -> None:
    builders.publish_release(alice, revise(alice, card(language="en", datasets="mnist")))
    page = Client().get("/models/alice/double/").content.decode()
    read = page.index('<span class="kind read">Read from the files</span>')
    claims = page.index('id="claimed"')
    facts = page[read : page.index("</section>", read)]
    claimed = page[claims : page.index("</section>", claims)]
    assert "Manifest" in facts
    assert "Licence" not in facts
    for part in ("Claimed by the publisher", "mit", "mnist", "en"):
        assert part in claimed
    assert "not signed" not in claimed


def test_an_unsigned_card_is_called_so(alice: Person) -> None:
    revise(alice, card())
    page = Client().get("/models/alice/double/").content.decode()
    assert "and signed by nobody yet" in page
    assert "and not signed" in page


@pytest.mark.parametrize(("text", "most"), [(card(), 2), (card(base_model="bob/base"), 4)])
def test_what_stands_beside_a_card_needs_few_queries(text: str, most: int, alice: Person) -> None:
    revision = revise(alice, text)
    with CaptureQueriesContext(connection) as queries:
        card_context(revision, None, writer=True)
    assert len(queries) <= most, [query["sql"] for query in queries.captured_queries]
