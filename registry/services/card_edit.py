"""Editing the card: the file README.md in a new revision, or nothing when the bytes are equal."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser

from registry.models import Revision
from registry.paths import CARD
from registry.rights import need_write
from registry.services import cards, contents, revisions


def save(user: AbstractBaseUser, revision: Revision, text: str) -> Revision:
    """Make `text` the README.md of the revision after `revision`; return that revision.

    `text` comes from a form, whose lines end in CR LF whatever was typed: they end as the card's
    own did before, in LF where there was none.

    Raises:
        NotAllowedError: the model is somebody else's.
        RefusedFileError: the card is refused; the detail has every reason.
        ConflictError: the model has moved on since.
    """
    need_write(user, revision.model.owner)
    before = read(revision)
    data = _with_endings_of(before, text).encode()
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


def read(revision: Revision) -> bytes:
    """Return the bytes of the revision's README.md; empty when it has none."""
    digest = revision.files.filter(path=CARD).values_list("blob_id", flat=True).first()
    return b"" if digest is None else contents.read_small(digest, cards.MAX_BYTES + 1)


def _with_endings_of(before: bytes, text: str) -> str:
    lines = text.replace("\r\n", "\n")
    return lines.replace("\n", "\r\n") if b"\r\n" in before else lines
