"""What the tests read in a page: the tags, and the rules that every page keeps."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser

FIELDS = {"input", "select", "textarea"}
UNLABELLED = {"hidden", "submit", "button"}
VOID = {"br", "hr", "img", "input", "link", "meta", "wbr"}


@dataclass(slots=True)
class Tag:
    """One tag with its attributes, the tags around it, and the text directly inside."""

    name: str
    attributes: dict[str, str]
    around: tuple[str, ...]
    text: str = ""


@dataclass(slots=True)
class Page:
    """A parsed page."""

    tags: list[Tag] = field(default_factory=list)

    def all(self, *names: str) -> list[Tag]:
        return [tag for tag in self.tags if tag.name in names]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self.open: list[Tag] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        around = tuple(item.name for item in self.open)
        found = Tag(name=tag, attributes={n: v or "" for n, v in attrs}, around=around)
        self.page.tags.append(found)
        if tag not in VOID:
            self.open.append(found)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        around = tuple(item.name for item in self.open)
        self.page.tags.append(
            Tag(name=tag, attributes={n: v or "" for n, v in attrs}, around=around)
        )

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1].name == tag, f"</{tag}> closes <{self.open[-1].name}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open:
            self.open[-1].text += data


def parse(text: str) -> Page:
    """Parse a page; a tag that is closed in the wrong order fails the test."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == [], f"never closed: {[tag.name for tag in reader.open]}"
    return reader.page


def faults(page: Page, *, whole: bool = True) -> list[str]:
    """Return what breaks a rule: inline code or style, doubled ids, fields without a label."""
    found = [*_inline(page), *_ids(page), *_labels(page)]
    if whole:
        found += _frame(page)
    return found


def _inline(page: Page) -> list[str]:
    found = [f"<style> inside {tag.around[-1:]}" for tag in page.all("style")]
    for tag in page.tags:
        found += [
            f"<{tag.name} {name}=…>"
            for name in tag.attributes
            if name == "style" or name.startswith(("on", "hx-on"))
        ]
    for tag in page.all("script"):
        data = tag.attributes.get("type") == "application/json"
        if tag.text.strip() and not data:
            found.append(f"inline script: {tag.text.strip()[:40]}")
        source = tag.attributes.get("src", "/")
        if not source.startswith("/"):
            found.append(f"script from {source}")
    for tag in page.all("img", "link", "script", "form", "iframe"):
        for name in ("src", "href", "action"):
            if tag.attributes.get(name, "").startswith(("http:", "https:", "//")):
                found.append(f"<{tag.name} {name}={tag.attributes[name]}>")
    return found


def _ids(page: Page) -> list[str]:
    ids = Counter(tag.attributes["id"] for tag in page.tags if "id" in tag.attributes)
    found = [f"id '{name}' {count} times" for name, count in ids.items() if count > 1]
    for tag in page.tags:
        for name in ("aria-labelledby", "aria-describedby", "for"):
            found += [
                f"<{tag.name}> {name} names no id '{target}'"
                for target in tag.attributes.get(name, "").split()
                if target not in ids
            ]
    return found


def _labels(page: Page) -> list[str]:
    labelled = {tag.attributes.get("for") for tag in page.all("label")}
    return [
        f"<{tag.name} name={tag.attributes.get('name')}> has no label"
        for tag in page.all(*FIELDS)
        if tag.attributes.get("type") not in UNLABELLED
        if tag.attributes.get("id") not in labelled and "aria-label" not in tag.attributes
    ]


def _frame(page: Page) -> list[str]:
    found = []
    if [tag.attributes.get("lang") for tag in page.all("html")] != ["en"]:
        found.append("no lang")
    for name in ("main", "title", "h1"):
        count = len([tag for tag in page.all(name) if "svg" not in tag.around])
        if count != 1:
            found.append(f"{count} <{name}>")
    return found
