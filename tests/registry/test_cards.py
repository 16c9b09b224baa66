"""Model cards: strict metadata, clear words about what is wrong, and HTML that cannot bite."""

from __future__ import annotations

import pytest

from registry.errors import RefusedFileError
from registry.services import cards
from registry.yaml_core import load
from tests import builders
from tests.people import Person


def _card(block: str, body: str = "# Title\n") -> cards.Card:
    return cards.parse(f"---\n{block}\n---\n{body}".encode())


def _errors(data: bytes) -> str:
    with pytest.raises(RefusedFileError) as caught:
        cards.parse(data)
    assert caught.value.detail["code"] == "card"
    return " ".join(caught.value.detail["errors"])


def test_a_card_is_metadata_and_markdown() -> None:
    card = _card("license: mit\nlanguage: [en, fr]\nassay:\n  labels: ['0', '1']")
    assert card.metadata == {
        "license": "mit",
        "language": ["en", "fr"],
        "assay": {"labels": ["0", "1"]},
    }
    assert (card.body, card.license, card.warnings) == ("# Title\n", "mit", ())


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff---\nlicense: mit\n---\nbody",
        "\n\n---\r\nlicense: mit\r\n---\r\nbody",
        "--- \nlicense: mit\n---\nbody",
    ],
)
def test_a_byte_order_mark_or_white_space_may_stand_first(text: str) -> None:
    card = cards.parse(text.encode())
    assert (card.metadata, card.body) == ({"license": "mit"}, "body")


@pytest.mark.parametrize("text", ["", "# Only words\n", "---\nnot closed: 1\n", "---\n---\n"])
def test_a_card_without_metadata_is_told_so(text: str) -> None:
    card = cards.parse(text.encode())
    assert card.metadata == {}
    assert "no metadata" in card.warnings[0]
    assert card.license == "unknown"


def test_a_card_without_a_license_is_told_so() -> None:
    assert _card("tags: [a]").warnings == ("The card names no license.",)


def test_yaml_means_what_version_1_2_says_and_warns_where_1_1_differs() -> None:
    value, warnings = load(
        "a: no\nb: 012\nc: 2025-01-01\nd: 12:30:00\ne: 1e3\nf: 0x1F\ng: ~\nh: true\ni: 1.5\nj: 'no'"
    )
    assert value == {
        "a": "no",
        "b": 12,
        "c": "2025-01-01",
        "d": "12:30:00",
        "e": 1000.0,
        "f": 31,
        "g": None,
        "h": True,
        "i": 1.5,
        "j": "no",
    }
    assert [line.split(":")[0] for line in warnings] == [f"line {n}" for n in (1, 2, 3, 4, 5)]


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ("a: &x 1", "anchor"),
        ("a: *x", "alias"),
        ("a: !!python/object:os.system 1", "tag"),
        ("a: ! b", "tag"),
        ("<<: {a: 1}", "merge key"),
        ("a: 1\na: 2", "second time"),
        ("1: a", "not text"),
        ("[a]: b", "not text"),
        ("a: .nan", ".nan"),
        ("a: -.inf", "-.inf"),
        ("a: 9007199254740992", "2^53"),
        ("a: 1e20", "2^53"),
        ("a: " + "9" * 5000, "2^53"),
        ("a: " + "[" * 17 + "]" * 17, "deeper than 16"),
        ('a: "\\0"', "NUL"),
        ('a: "\\ud800"', "surrogate"),
        ("a: [", "line 3"),
        ("a: \x07", "does not allow"),
        ("- a", "not a mapping"),
        ("text", "not a mapping"),
        ("a: " + "x" * 65_536, "longer than"),
        ("license: gpl-99", "no license id"),
        ("license: [mit]", "no license id"),
        ("license: other", "license_link"),
        ("language: english!", "language code"),
        ("tags: {a: b}", "'tags'"),
        ("pipeline_tag: fortune-telling", "pipeline_tag"),
        ("pipeline_tag: 3", "'pipeline_tag' is a text"),
        ("model-index: 3", "list of objects"),
        ("model-index: [{name: a}]", "name and a list"),
        ("model-index: [{name: a, results: [{}]}]", "'metrics'"),
        ("model-index: [{name: a, results: [3]}]", "an object"),
    ],
)
def test_what_cannot_be_signed_is_refused_in_words(block: str, words: str) -> None:
    assert words in _errors(f"---\n{block}\n---\n# Title\n".encode())


def test_an_error_names_the_line_of_the_file() -> None:
    assert "line 3" in _errors(b"---\na: 1\na: 2\n---\n")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"x" * (cards.MAX_BYTES + 1), "larger than 256 kB"),
        (b"\xff\xfe", "not UTF-8"),
        (b"a\0b", "NUL"),
    ],
)
def test_what_is_no_card_is_refused(data: bytes, words: str) -> None:
    assert words in _errors(data)


def test_a_good_model_index_passes() -> None:
    metric = "{type: accuracy, value: 0.97}"
    result = f"{{task: {{type: a}}, dataset: {{type: b, name: c}}, metrics: [{metric}]}}"
    card = _card(f"license: mit\nmodel-index: [{{name: a, results: [{result}]}}]")
    assert card.metadata["model-index"][0]["results"][0]["metrics"][0]["value"] == 0.97


def test_the_license_other_needs_its_name_and_address() -> None:
    card = _card("license: other\nlicense_name: mine\nlicense_link: LICENSE")
    assert card.license == "other"


@pytest.mark.parametrize(
    ("markdown", "absent"),
    [
        ("<script>alert(1)</script>", "<script"),
        ("[x](javascript:alert(1))", "href"),
        ("[x](data:text/html,x)", "href"),
        ("![p](https://tracker.example/p.png)", "<img"),
        ("<img src=x onerror=alert(1)>", "<img"),
        ('<a href="x" onclick="y">z</a>', "<a"),
        ("<style>body{display:none}</style>", "<style"),
        ('```"onmouseover="x\ncode\n```', "class"),
        ("<div id=sign>", "<div"),
    ],
)
def test_a_hostile_card_is_only_text(markdown: str, absent: str) -> None:
    assert absent not in cards.render(markdown)


def test_a_card_shows_tables_code_and_links() -> None:
    page = cards.render(
        "# T\n\n| a |\n|---|\n| ~~b~~ |\n\n```python\nx\n```\n\n"
        "[l](https://example.org) ![alt & text](x)"
    )
    for part in ("<table>", "<s>b</s>", 'class="language-python"', "alt &amp; text"):
        assert part in page
    assert '<a href="https://example.org" rel="nofollow noopener noreferrer">l</a>' in page


def test_the_metadata_of_a_card_survives_the_database(alice: Person) -> None:
    block = "license: mit\nnumbers: [1.0, 0.1, 1e-7, -0.0, 3]\nnone:\nbig: 9007199254740991"
    files = {"model.onnx": builders.ONNX, "README.md": f"---\n{block}\n---\n".encode()}
    revision = builders.make_revision(alice, files=files)
    assert revision.card_metadata == _card(block).metadata
    assert builders.publish_release(alice, revision).version == "1.0.0"
