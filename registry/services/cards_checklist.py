"""What a reader needs to find in a card: what is there, what is missing, and why it matters.

Nothing here refuses a card. A heading counts with text below it; text in angle brackets is what
our templates leave for a person to replace, and counts as nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from registry.services.card_fields import texts

_HEADING = re.compile(r"(?m)^ {0,3}#{1,6}[ \t]+(?P<title>[^\n]*)$")
_PLACEHOLDER = re.compile(r"<[A-Z][^<>\n]*[.?>]?>|<meaning>")
_TEXT_TASKS = re.compile(r"text|translation|summarization|fill-mask|question|speech|sentence|token")
_WORDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing to say: whether it is said, why it matters, and where to say it."""

    key: str
    title: str
    why: str
    where: str
    done: bool


Card = tuple[Mapping[str, Any], Mapping[str, str]]


def _has(key: str) -> Callable[[Card], bool]:
    return lambda card: bool(texts(card[0].get(key)))


def _told(*words: str) -> Callable[[Card], bool]:
    def told(card: Card) -> bool:
        return any(
            any(word in title for word in words) and is_text(text)
            for title, text in card[1].items()
        )

    return told


def _licensed(card: Card) -> bool:
    return bool(texts(card[0].get("license"))) and card[0].get("license") != "unknown"


def _described(card: Card) -> bool:
    return any(is_text(text) for text in card[1].values())


def _measured(card: Card) -> bool:
    return bool(card[0].get("model-index")) or _told("evaluat", "result", "how good")(card)


def _trained(card: Card) -> bool:
    return _has("datasets")(card) or _told("training", "data", "how it was made")(card)


def _spoken(card: Card) -> bool:
    task = card[0].get("pipeline_tag")
    about_text = isinstance(task, str) and _TEXT_TASKS.search(task) is not None
    return not about_text or bool(texts(card[0].get("language")))


def _descends(card: Card) -> bool:
    """A relation without a parent says that something was left out."""
    return not card[0].get("base_model_relation") or bool(texts(card[0].get("base_model")))


_ITEMS: tuple[tuple[str, str, str, str, Callable[[Card], bool]], ...] = (
    (
        "license",
        "A licence",
        "Without one nobody knows whether they may use the model at all.",
        "key 'license'",
        _licensed,
    ),
    (
        "description",
        "What it does",
        "A reader decides by the first sentence whether to read on.",
        "text",
        _described,
    ),
    (
        "task",
        "The task",
        "People find models by it, and the API form is chosen by it.",
        "key 'pipeline_tag'",
        _has("pipeline_tag"),
    ),
    (
        "language",
        "The languages",
        "A model of text fails without warning in a language it was not made for.",
        "key 'language'",
        _spoken,
    ),
    (
        "uses",
        "What it is for",
        "Says where it was meant to work, and so where nobody has tried it.",
        "a heading such as 'Intended uses'",
        _told("use", "what goes in", "how to"),
    ),
    (
        "limits",
        "Where it fails",
        "The limits are what a reader cannot find out from the file.",
        "a heading such as 'Limitations'",
        _told("limitation", "bias", "risk", "fail", "out of scope", "out-of-scope"),
    ),
    (
        "data",
        "What it was trained on",
        "Tells whose data is in it, and what it can know.",
        "key 'datasets', or a heading such as 'Training'",
        _trained,
    ),
    (
        "evaluation",
        "How good it is",
        "A number with the data it was measured on; an execution here can prove it.",
        "key 'model-index', files in .eval_results/, or a heading 'Evaluation'",
        _measured,
    ),
    (
        "base_model",
        "What it was made from",
        "Faults and licences of the parent are inherited.",
        "key 'base_model'",
        _descends,
    ),
)


def checklist(metadata: Mapping[str, Any], body: str) -> list[Item]:
    """Return every item, in the order in which a reader asks."""
    card = (metadata, sections(body))
    return [
        Item(key=key, title=title, why=why, where=where, done=done(card))
        for key, title, why, where, done in _ITEMS
    ]


def sections(body: str) -> dict[str, str]:
    """Return the text below each heading, by the heading in lower case; `""` is what stands first.

    Headings of one title are put together.
    """
    found: dict[str, str] = {}
    title, start = "", 0
    for match in _HEADING.finditer(body):
        found[title] = found.get(title, "") + body[start : match.start()]
        title, start = match["title"].strip().lower(), match.end()
    found[title] = found.get(title, "") + body[start:]
    return found


def is_text(text: str) -> bool:
    """Tell whether `text` says something, beside what a template left to be replaced."""
    rest = _PLACEHOLDER.sub(" ", text)
    return sum(any(char.isalnum() for char in word) for word in rest.split()) >= _WORDS
