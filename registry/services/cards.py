"""Model cards: the bytes of README.md, the metadata they begin with, and the page they make.

The card is the raw file, never written again by us. Beside it stands a projection of its metadata
(strict YAML, see `registry.yaml_core`), which is what the publisher signs, and HTML for the page.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from registry import card_rules, yaml_core
from registry.errors import RefusedFileError
from registry.paths import CARD

MAX_BYTES = 256 * 1024
_BLOCK = re.compile(
    r"\s*(?P<open>---[ \t]*\r?\n)(?P<yaml>.*?\r?\n)??---[ \t]*(?:\r?\n|\Z)", re.DOTALL
)
_TAGS = {
    *("a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr"),
    *("li", "ol", "p", "pre", "s", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"),
}
_ATTRIBUTES = {"a": {"href", "title"}, "code": {"class"}, "ol": {"start"}}
_LANGUAGE = re.compile(r"language-[A-Za-z0-9+#_-]{1,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A card as read: the projection of its metadata, the Markdown after it, and warnings."""

    metadata: dict[str, Any]
    body: str
    warnings: tuple[str, ...]

    @property
    def license(self) -> str:
        """The licence as a release statement names it: `unknown` when the card names none."""
        return license_of(self.metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The text of a card in pieces that are the whole when put together again.

    `before` holds a byte order mark, white space and the first fence, `yaml` the metadata, `fence`
    the second fence; the three are empty when the card has no metadata.
    """

    before: str
    yaml: str
    fence: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What `validate` says of a card; `card` is None when there are errors."""

    card: Card | None
    errors: tuple[str, ...]
    warnings: tuple[str, ...]


def license_of(metadata: dict[str, Any]) -> str:
    """Return the licence id in `metadata`, or `unknown`."""
    value = metadata.get("license")
    return value if isinstance(value, str) and value else "unknown"


def validate(content: str) -> Checked:
    """Check the text of a whole README.md as a commit does, and refuse nothing.

    The answer is that of the hub's `validate-yaml`: errors, or warnings.
    """
    try:
        card = parse(content.encode("utf-8", "surrogatepass"))
    except RefusedFileError as error:
        return Checked(card=None, errors=tuple(error.detail["errors"]), warnings=())
    return Checked(card=card, errors=(), warnings=card.warnings)


def parse(data: bytes) -> Card:
    """Read the bytes of a README.md.

    Raises:
        RefusedFileError: code `card`: too large, not UTF-8, or metadata that cannot be taken;
            `detail.errors` lists every reason.
    """
    if len(data) > MAX_BYTES:
        raise _refused([f"The card is larger than {MAX_BYTES // 1024} kB."])
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise _refused(["The card is not UTF-8 text."]) from None
    if "\0" in text:
        raise _refused(["The card holds a NUL character."])
    parts = split(text)
    metadata, warnings = _metadata(parts.yaml)
    errors = list(card_rules.errors(metadata))
    if errors:
        raise _refused(errors)
    told = (*warnings, *card_rules.warnings(metadata))
    return Card(metadata=metadata, body=parts.body, warnings=told)


def _refused(errors: list[str]) -> RefusedFileError:
    return RefusedFileError(
        f"{CARD}: {' '.join(errors)}",
        path=CARD,
        code="card",
        errors=errors,
        remedy="Correct the card and save it again.",
    )


def split(text: str) -> Parts:
    """Return the pieces of a card's text; a fence that is never closed begins no metadata."""
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    match = _BLOCK.match(text, len(mark))
    if match is None:
        return Parts(before=mark, yaml="", fence="", body=text[len(mark) :])
    start, end = match.span("yaml") if match["yaml"] is not None else (match.end("open"),) * 2
    return Parts(
        before=text[:start],
        yaml=text[start:end],
        fence=text[end : match.end()],
        body=text[match.end() :],
    )


def _metadata(block: str) -> tuple[dict[str, Any], list[str]]:
    try:
        value, warnings = yaml_core.load(block)
    except yaml_core.YamlRefusedError as error:
        # The block's first line is the card's second.
        raise _refused([f"Metadata, line {error.line + 1}: {error.message}."]) from error
    if value is None:
        return {}, []
    if not isinstance(value, dict):
        raise _refused(["The metadata is not a mapping of keys to values."])
    return value, warnings


@lru_cache(maxsize=32)
def render(body: str) -> str:
    """Return the Markdown `body` as HTML that is safe in our pages.

    Raw HTML is shown as text, pictures as their description (none is loaded from elsewhere), links
    go to http, https and mail addresses only; the result is cleaned again by an HTML sanitiser.
    """
    return nh3.clean(
        _markdown().render(body),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=_filter,
        url_schemes={"http", "https", "mailto"},
        link_rel="nofollow noopener noreferrer",
    )


def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    markdown.add_render_rule("image", _picture)
    return markdown


def _picture(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    return html.escape(renderer.renderInlineAsText(tokens[index].children, options, env))


def _filter(tag: str, name: str, value: str) -> str | None:
    if tag == "code" and name == "class":
        return value if _LANGUAGE.fullmatch(value) else None
    return value
