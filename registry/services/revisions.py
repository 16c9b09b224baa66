"""Commits: a whole tree of files becomes the next revision of a model.

The order: paths, right to the contents, kinds and card are checked before any row is written; then
one transaction inserts the revision with its files and moves the model's head, or the branch that
was named, by compare-and-swap on the parent (THE COMMIT POINT). Whoever loses the race has written
nothing. The bytes were durable before (`registry.storage`), so a crash at any instruction leaves
either the old head or the new.

The id is the first 40 hex digits of the SHA-256 of the commit's record in RFC 8785 form:

    {"parent": id or null, "author": owner name, "time": "2026-01-01T00:00:00.000Z", "message",
     "files": [{"path", "sha256", "git_sha1", "size", "mode": "100644"}, …]}   sorted by path
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from assay.canonical import canonical_json
from assay.digests import sha256_hex
from assay.errors import FormatError
from assay.manifest import Manifest, is_ignored
from assay.statements import timestamp
from registry import kinds_whole, moderated, paths, selectors
from registry.choices import RevisionState
from registry.errors import (
    ConflictError,
    InvalidInputError,
    UnknownFileError,
)
from registry.models import Blob, Model, Owner, Ref, Revision, RevisionFile
from registry.rights import need_write
from registry.services import audit, cards, contents, quotas, reports
from registry.services.reports import main_graph, record_inspection
from registry.signals import revision_committed

__all__ = ["MODE", "Tree", "commit", "main_graph", "pairs", "record_inspection", "revision_id"]
MODE = "100644"
MAX_MESSAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A checked tree: path to blob, sorted by path; what is new in it, digest to kind."""

    files: Mapping[str, Blob]
    kinds: Mapping[str, str]
    manifest: str
    card: cards.Card | None


def commit(
    user: AbstractBaseUser,
    model: Model,
    *,
    files: Sequence[tuple[str, str]],
    parent: str | None,
    message: str = "",
    branch: Ref | None = None,
    may_be_empty: bool = False,
) -> Revision:
    """Make `files`, the whole tree as (path, hex SHA-256), the next revision after `parent`.

    The revision becomes the model's head, or (`branch`) that of a branch beside it.

    A tree equal to the head's makes nothing and returns the head, so that a repeated call is
    harmless.

    Raises:
        NotAllowedError: the model is somebody else's.
        RefusedFileError: a path, a kind of file or the card is refused.
        UnknownFileError: content that the caller neither brought nor may read.
        TakenDownError: content that moderators took down.
        ConflictError: the head is not `parent`; the detail has the head.
        InvalidInputError: no files, unless the tree `may_be_empty`.
    """
    if len(message) > MAX_MESSAGE:
        raise InvalidInputError(f"A message has at most {MAX_MESSAGE} characters.", field="message")
    model = Model.objects.select_related("owner", "head").get(pk=model.pk)
    need_write(user, model)
    head = model.head if branch is None else branch.revision
    before = pairs(head)
    if head and sorted(files) == sorted(before.items()) and _follows(head, parent):
        return head
    tree = _check_tree(user, files, before)
    if not may_be_empty and all(is_ignored(path) for path, _ in files):
        raise InvalidInputError("A revision has at least one file of a model.", field="files")
    if parent != _pk(head):
        raise _conflict(_pk(head), parent)
    return _write(user, model, tree, message.strip() or "Upload files", head, branch)


def pairs(revision: Revision | None) -> dict[str, str]:
    """Return the tree of a revision as path to hex SHA-256; an empty one for None."""
    return {} if revision is None else dict(revision.files.values_list("path", "blob_id"))


def _pk(head: Revision | None) -> str | None:
    return None if head is None else head.pk


def _follows(head: Revision, parent: str | None) -> bool:
    """Tell whether a tree equal to that of `head` may be a repetition of the commit of `head`."""
    return parent in (None, head.pk, head.parent_id)


def _conflict(head: str | None, parent: str | None) -> ConflictError:
    return ConflictError(
        "The model has moved on since you looked: its newest revision is another.",
        head=head,
        parent=parent,
    )


# ------------------------------------------------------------------ checks


def _check_tree(
    user: AbstractBaseUser, files: Sequence[tuple[str, str]], before: Mapping[str, str]
) -> Tree:
    paths.check_tree(path for path, _ in files)
    blobs = _check_contents(user, files)
    found = {}
    for path, blob in blobs.items():
        if before.get(path) != blob.sha256:  # what the head holds was looked at when it came
            with contents.opened(blob.sha256) as stream:
                kind = kinds_whole.check(path, stream, blob.size)
            blob.kind = found[blob.sha256] = kind.value
    card = _read_card(blobs.get(paths.CARD))
    return Tree(files=blobs, kinds=found, manifest=_manifest(files), card=card)


def _manifest(files: Sequence[tuple[str, str]]) -> str:
    """Return the manifest's digest; of no files it is that of the empty list, which none signs."""
    if all(is_ignored(path) for path, _ in files):
        return sha256_hex(canonical_json([]))
    try:
        return Manifest.from_pairs(files).digest
    except FormatError as error:
        raise InvalidInputError(f"These files make no model: {error}.", field="files") from error


def _check_contents(user: AbstractBaseUser, files: Sequence[tuple[str, str]]) -> dict[str, Blob]:
    """Return the blobs by path; what is not there and what is not the caller's answer alike."""
    digests = {digest for _, digest in files}
    known = contents.by_digest(selectors.usable(user, digests))
    for path, digest in sorted(files):
        if digest not in known:
            raise UnknownFileError(
                f"You have not uploaded the content of '{path}'.", path=path, sha256=digest[:80]
            )
        moderated.need_up(known[digest])
    return {path: known[digest] for path, digest in sorted(files)}


def _read_card(blob: Blob | None) -> cards.Card | None:
    if blob is None:
        return None
    return cards.parse(contents.read_small(blob.sha256, cards.MAX_BYTES + 1))


# ------------------------------------------------------------------ the record


def record(
    *, parent: str | None, author: str, time: str, message: str, files: Mapping[str, Blob]
) -> dict[str, Any]:
    """Return the record of a commit, as the module describes it."""
    return {
        "parent": parent,
        "author": author,
        "time": time,
        "message": message,
        "files": [
            {
                "path": path,
                "sha256": blob.sha256,
                "git_sha1": blob.git_sha1,
                "size": blob.size,
                "mode": MODE,
            }
            for path, blob in sorted(files.items())
        ],
    }


def revision_id(commit_record: Mapping[str, Any]) -> str:
    """Return the 40 hex digits that name a commit with this record."""
    return sha256_hex(canonical_json(commit_record))[:40]


def _write(
    user: AbstractBaseUser,
    model: Model,
    tree: Tree,
    message: str,
    head: Revision | None,
    branch: Ref | None,
) -> Revision:
    now = timezone.now()
    created_at = now.replace(microsecond=now.microsecond // 1000 * 1000)
    graph = main_graph(tree.files)
    report = reports.earlier_report(model, tree.files)
    parent = _pk(head)
    with transaction.atomic():
        _keep_contents(_stay(user, model), tree)
        # Two models of one author could get the same record in one millisecond: then wait for none.
        while Revision.objects.filter(pk=_id(user, parent, tree, message, created_at)).exists():
            created_at += timedelta(milliseconds=1)
        revision = Revision.objects.create(
            id=_id(user, parent, tree, message, created_at),
            model=model,
            parent_id=parent,
            author_id=user.pk,
            message=message,
            manifest=tree.manifest,
            graph_path=graph,
            card_metadata=tree.card.metadata if tree.card else {},
            card_body=tree.card.body if tree.card else "",
            created_at=created_at,
            **reports.inspected(report),
        )
        RevisionFile.objects.bulk_create(
            RevisionFile(revision=revision, path=path, blob=blob)
            for path, blob in tree.files.items()
        )
        _move(model, head, branch, revision)
        audit.note(user, "revision.commit", model.full_name, revision=revision.pk)
        if revision.state == RevisionState.PENDING:
            revision_committed.send(Revision, revision_id=revision.pk)
    return revision


def _keep_contents(owner: Owner, tree: Tree) -> None:
    """Hold the contents where they are until the commit, and charge the owner for them.

    Raises:
        UnknownFileError: a content that nothing named was collected since it was looked up.
        TooLargeError: they are more than the owner may have.
    """
    kept = contents.keep(blob.pk for blob in tree.files.values())
    for path, blob in tree.files.items():
        if blob.pk not in kept:
            raise UnknownFileError(
                f"The content of '{path}' is gone: upload it again.", path=path, sha256=blob.pk
            )
    contents.note_kinds(tree.kinds)
    quotas.charge(owner, tree.files.values())


def _stay(user: AbstractBaseUser, model: Model) -> Owner:
    """Hold the model where it is until the commit, and return whose it is.

    Raises as `need_write` when it has gone.
    """
    locked = Model.objects.select_for_update(no_key=True, of=("self",))
    now = locked.get(pk=model.pk)
    if now.owner_id != model.owner_id or now.deleted_at is not None:
        need_write(user, now)
    return now.owner


def _move(model: Model, head: Revision | None, branch: Ref | None, revision: Revision) -> None:
    """Let the name of `head` be that of `revision`; ConflictError when it has moved meanwhile."""
    known = _pk(head)
    if branch is None:
        ours = Model.objects.filter(pk=model.pk, head_id=known)
        if not ours.update(head=revision, updated_at=timezone.now()):
            raise _conflict(Model.objects.get(pk=model.pk).head_id, known)
    elif not Ref.objects.filter(pk=branch.pk, revision_id=known).update(revision=revision):
        now = Ref.objects.filter(pk=branch.pk).values_list("revision_id", flat=True).first()
        raise _conflict(now, known)


def _id(
    user: AbstractBaseUser, parent: str | None, tree: Tree, message: str, created_at: datetime
) -> str:
    return revision_id(
        record(
            parent=parent,
            author=user.get_username(),
            time=timestamp(created_at),
            message=message,
            files=tree.files,
        )
    )
