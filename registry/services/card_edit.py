"""Editing the card: the file README.md in a new revision, or nothing when the bytes are equal.

Commit point: that of `revisions.commit`, one transaction that inserts the revision and moves the
head by compare-and-swap. The new card's bytes are durable before; whoever loses the race has
changed nothing, is told the new head, and still has their text.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib.auth.models import AbstractBaseUser

from registry import moderated
from registry.errors import RefusedFileError
from registry.models import Revision
from registry.paths import CARD
from registry.rights import need_write
from registry.services import card_fields, cards, contents, revisions
from registry.yaml_core import YamlRefusedError
from registry.yaml_edit import CannotEditError, edit


def save(user: AbstractBaseUser, revision: Revision, text: str) -> Revision:
    """Make `text` the README.md of the revision after `revision`; return that revision.

    `text` comes from a form, whose lines end in CR LF whatever was typed: they end as the card's
    own did before, in LF where there was none.

    Raises:
        NotAllowedError: the model is somebody else's.
        RefusedFileError: the card is refused; the detail has every reason.
        ConflictError: the model has moved on since.
    """
    need_write(user, revision.model)
    before = read(revision)
    return _commit(user, revision, before, _with_endings_of(before, text))


def save_fields(
    user: AbstractBaseUser,
    revision: Revision,
    fields: Mapping[str, str],
    body: str | None = None,
) -> Revision:
    """Change single keys of the metadata, and the Markdown if `body` is another; else as `save`.

    `fields` are a form's texts by the keys of `card_fields.FIELDS`. Whatever is not changed stays
    byte for byte: comments, unknown keys, quoting, line ends.

    Raises: as `save`; RefusedFileError also when the metadata cannot be edited key by key.
    """
    need_write(user, revision.model)
    before = read(revision)
    return _commit(user, revision, before, with_fields(before, fields, body))


def with_fields(before: bytes, fields: Mapping[str, str], body: str | None = None) -> str:
    """Return the card `before` with `fields` and `body` put in; raises as `save_fields`."""
    card = cards.parse(before)
    parts = cards.split(before.decode("utf-8"))
    changes = card_fields.changes(card.metadata, fields)
    try:
        block = edit(parts.yaml, changes)
    except (CannotEditError, YamlRefusedError) as error:
        raise RefusedFileError(
            f"{CARD}: {error}",
            path=CARD,
            code="card",
            errors=[str(error)],
            remedy="Edit the card as text.",
        ) from error
    newline = "\r\n" if b"\r\n" in before else "\n"
    opening, fence = parts.before, parts.fence
    if not parts.yaml:
        block = block.replace("\n", newline)
    if block and not fence:
        opening, fence = f"{parts.before}---{newline}", f"---{newline}"
    text = parts.body
    if body is not None and _lines(body) != _lines(parts.body):
        text = _with_endings_of(before, body)
    return f"{opening}{block}{fence}{text}"


def read(revision: Revision) -> bytes:
    """Return the bytes of the revision's README.md; empty when it has none.

    Raises:
        TakenDownError, HiddenError: moderators stopped it.
    """
    card = revision.files.select_related("blob").filter(path=CARD).first()
    if card is None:
        return b""
    moderated.need_good(card.blob)
    return contents.read_small(card.blob_id, cards.MAX_BYTES + 1)


def _commit(user: AbstractBaseUser, revision: Revision, before: bytes, text: str) -> Revision:
    data = text.encode()
    if data == before:
        return revision
    cards.parse(data)
    blob = contents.store(user, data)
    tree = dict(revision.files.values_list("path", "blob_id"))
    tree[CARD] = blob.sha256
    return revisions.commit(
        user,
        revision.model,
        files=sorted(tree.items()),
        parent=revision.pk,
        message="Edit the card",
    )


def _lines(text: str) -> str:
    """Return `text` with its lines ended by LF, as a form sends back what it was given."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _with_endings_of(before: bytes, text: str) -> str:
    lines = text.replace("\r\n", "\n")
    return lines.replace("\n", "\r\n") if b"\r\n" in before else lines
