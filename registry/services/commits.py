"""Commits as hub clients make them: changes to a branch, not a whole tree.

1. The content of added files is stored or known before (`contents`, `uploads`, `xet`).
2. The changes are applied, in their order, to the tree at the head of the branch; all bad paths
   and all missing contents are told together.
3. `revisions.commit` checks the tree and moves the branch (THE COMMIT POINT).

A repetition makes nothing: when the tree that results is the head's, or the same changes to the
head's parent make the head's tree, the head is the answer. Without a named parent a commit that
loses a race is applied again to the new head.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser

from registry import paths, selectors
from registry.errors import (
    ConflictError,
    InvalidInputError,
    RefusedFileError,
    UnknownFileError,
)
from registry.models import Blob, Model, Ref, Revision
from registry.rights import need_write
from registry.services import contents, refs, revisions

_PARENT = re.compile(r"[0-9a-f]{5,40}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ATTEMPTS = 5
_TOLD = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Add:
    """Put the content `sha256` at `path`; `size`, where the client said one, must be its size."""

    path: str
    sha256: str
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Take the file at `path` away, or the whole folder."""

    path: str
    folder: bool = False


Change = Add | Delete


def apply(
    user: AbstractBaseUser,
    model: Model,
    branch: str,
    changes: Sequence[Change],
    *,
    parent: str = "",
    message: str = "",
) -> Revision:
    """Commit `changes` to `branch`; return the new revision, or the head that has them already.

    `parent` is what the caller takes for the head: 5 to 40 hex digits, or `""`.

    Raises:
        NotAllowedError: the model is somebody else's.
        UnknownRevisionError, InvalidInputError: no such branch; bad paths, contents or parent.
        UnknownFileError: a file or folder to delete is not there.
        ConflictError: the head is not `parent`.
        RefusedFileError: a kind of file or the card is refused.
    """
    need_write(user, model)
    if parent and _PARENT.fullmatch(parent) is None:
        raise InvalidInputError("A parentCommit has 5 to 40 lower-case hex digits.")
    _check(user, changes)
    for attempt in range(_ATTEMPTS):
        row, head = _head(model, branch)
        try:
            return _once(user, model, row, head, changes, parent, message)
        except ConflictError:
            if parent or attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


def _head(model: Model, branch: str) -> tuple[Ref | None, Revision | None]:
    row = refs.find_branch(model, branch)
    if row is not None:
        return row, row.revision
    return None, Model.objects.select_related("head").get(pk=model.pk).head


def _once(
    user: AbstractBaseUser,
    model: Model,
    row: Ref | None,
    head: Revision | None,
    changes: Sequence[Change],
    parent: str,
    message: str,
) -> Revision:
    if head is not None and _repeats(head, changes, parent):
        return head
    if parent and (head is None or not head.pk.startswith(parent)):
        raise ConflictError(
            "The branch has moved on since you looked: its newest commit is another.",
            head=head.pk if head else None,
            parent=parent,
        )
    tree = _changed(revisions.pairs(head), changes, head)
    return revisions.commit(
        user,
        model,
        files=sorted(tree.items()),
        parent=head.pk if head else None,
        message=message,
        branch=row,
        may_be_empty=True,
    )


def _repeats(head: Revision, changes: Sequence[Change], parent: str) -> bool:
    """Tell whether `head` is what these changes made when they were sent before."""
    here = revisions.pairs(head)
    bases = [head, head.parent] if head.parent else [head]
    if parent:
        bases = [base for base in bases if base.pk.startswith(parent)]
    for base in bases:
        try:
            if _changed(revisions.pairs(base), changes, base) == here:
                return True
        except UnknownFileError:
            continue
    return False


def _changed(
    tree: dict[str, str], changes: Iterable[Change], head: Revision | None
) -> dict[str, str]:
    """Return `tree` after the changes, in their order."""
    for change in changes:
        if isinstance(change, Add):
            tree[change.path] = change.sha256
            continue
        path = change.path.strip("/")
        inside = [known for known in tree if known.startswith(f"{path}/")]
        gone = inside if change.folder else [path] if path in tree else []
        if not gone:
            raise UnknownFileError(
                f"A file with this name doesn't exist: '{change.path[:200]}'.",
                path=change.path[:200],
                **({"revision": head.pk} if head else {}),
            )
        for known in gone:
            del tree[known]
    return tree


# ------------------------------------------------------------------ checks


def _check(user: AbstractBaseUser, changes: Sequence[Change]) -> None:
    """Check every path and every content that the caller names, and tell all that is wrong."""
    added = [change for change in changes if isinstance(change, Add)]
    wrong = [told for change in added if (told := _bad_path(change.path))]
    digests = {change.sha256 for change in added}
    known = contents.by_digest(
        selectors.usable(user, [digest for digest in digests if _DIGEST.fullmatch(digest)])
    )
    wrong += [told for change in added if (told := _bad_content(change, known.get(change.sha256)))]
    if wrong:
        more = f" And {len(wrong) - _TOLD} more." if len(wrong) > _TOLD else ""
        raise InvalidInputError(" ".join(wrong[:_TOLD]) + more, errors=wrong[:_TOLD])


def _bad_path(path: str) -> str:
    try:
        paths.check_one(path)
    except RefusedFileError as error:
        shown = str(error.detail["path"])[:200]
        return f"'{shown}': {error.message} {error.detail['remedy']}"
    return ""


def _bad_content(change: Add, blob: Blob | None) -> str:
    if blob is None:
        return (
            f"'{change.path[:200]}': the content {change.sha256[:64]} was not uploaded to this "
            "repository by you."
        )
    if change.size is not None and change.size != blob.size:
        return (
            f"'{change.path[:200]}': the content has {blob.size} bytes, and {change.size} "
            "were named."
        )
    return ""
