"""All that an export says of a release, gathered once from what never changes.

One thing may: where moderators stopped the file of the card, nothing that stands in it is quoted,
neither its text nor its metadata, and `withheld` is the address of their action.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from django.conf import settings

from registry import moderated, selectors
from registry.choices import ClaimKind, OwnerKind
from registry.models import Release, RevisionFile
from registry.paths import CARD
from registry.services.cards_checklist import is_text, sections
from registry.services.evaluations import Result, results

MAX_SECTION = 4_000
_MARKS = re.compile(
    r"!?\[(?P<text>[^\]\n]*)\]\([^)\n]*\)|[*`]+|^ {0,3}>[ \t]?|<[^>\n]*>", re.MULTILINE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of the release: path and hex SHA-256."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A release. `model` is the name that its publisher signed, also when it has another now.

    `withheld` is `""` unless moderators stopped the card: then `metadata` and `sections` are empty.
    """

    model: str
    version: str
    revision: str
    manifest: str
    key: str
    released_at: datetime
    organisation: bool
    graph_path: str
    files: tuple[File, ...]
    facts: Mapping[str, Any]
    metadata: Mapping[str, Any]
    sections: Mapping[str, str]
    results: tuple[Result, ...]
    site: str
    withheld: str = ""

    @property
    def owner(self) -> str:
        return self.model.partition("/")[0]

    @property
    def name(self) -> str:
        return self.model.partition("/")[2]

    @property
    def page(self) -> str:
        """The address of the release's page."""
        return f"{self.site}/models/{self.model}/releases/{quote(self.version, safe='')}/"

    @property
    def description(self) -> str:
        """The first words of the card that say something; `""` when there are none."""
        for text in self.sections.values():
            for paragraph in re.split(r"\n\s*\n", text):
                plain = plain_text(paragraph)
                if is_text(plain) and not plain.startswith(("|", "- ", "```")):
                    return plain
        return ""

    @property
    def graph_sha256(self) -> str:
        """The digest of the graph that runs; `""` when there is none."""
        found = (file.sha256 for file in self.files if file.path == self.graph_path)
        return next(found, "") if self.graph_path else ""

    def section(self, *words: str) -> str:
        """Return the text below the headings that hold one of `words`; `""` when none says much."""
        texts = [
            plain_text(text)
            for title, text in self.sections.items()
            if any(word in title for word in words) and is_text(text)
        ]
        return "\n\n".join(texts)[:MAX_SECTION]

    def uuid(self, form: str) -> uuid.UUID:
        """Return the UUID of this release's document in `form`: always the same.

        A document that withholds the card is another one than that which quotes it.
        """
        name = f"urn:assay:export:{form}:{self.model}:{self.version}:{self.revision}"
        if self.withheld:
            name += f":{self.withheld}"
        return uuid.uuid5(uuid.NAMESPACE_URL, name)


def plain_text(markdown: str) -> str:
    """Return Markdown without its marks, roughly: for fields that hold plain text."""
    text = _MARKS.sub(lambda found: found["text"] or "", markdown)
    return text.strip()[:MAX_SECTION]


def describe(release: Release, files: Iterable[RevisionFile], *, whole: bool = True) -> Described:
    """Return what is exported of `release`, which comes with its claims and their entries.

    `files` are those of its revision, with their blobs. One query, for the results; none without
    them (`whole`); one more where moderators stopped the card.
    """
    revision = release.revision
    rows = sorted(files, key=lambda file: file.path)
    withheld = _withheld(rows)
    found = results(revision) if whole else []
    return Described(
        model=_signed_name(release),
        version=release.version,
        revision=revision.pk,
        manifest=revision.manifest,
        key=release.key_id,
        released_at=release.created_at,
        organisation=release.model.owner.kind == OwnerKind.ORGANISATION,
        graph_path=revision.graph_path,
        files=tuple(File(path=file.path, sha256=file.blob_id) for file in rows),
        facts=selectors.facts(revision),
        metadata={} if withheld else revision.card_metadata,
        sections={} if withheld else sections(revision.card_body),
        results=tuple(item for item in found if not (withheld and item.place == CARD)),
        site=settings.SITE_URL,
        withheld=withheld,
    )


def _withheld(files: Iterable[RevisionFile]) -> str:
    """Return the address of the action that stopped the card's file; `""` when none did."""
    card = next((file for file in files if file.path == CARD), None)
    action = moderated.stop_of(card.blob) if card else None
    return f"{settings.SITE_URL}{moderated.action_url(action)}" if action else ""


def _signed_name(release: Release) -> str:
    """Return the model's name in the release statement, as its ledger entry keeps it."""
    return next(c.entry.model for c in release.claims.all() if c.kind == ClaimKind.RELEASE)
