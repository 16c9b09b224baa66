"""What names a revision: a commit id, a branch, a tag or release version, an alias, in this order.

`main` is the model's head; other branches and the tags are rows. A release's version is a tag that
nobody can set or delete, and wins over a tag of the same name.

Who may not write to the model sees a branch at its newest revision that passed its inspection; a
commit or tag that waits for its inspection, or failed it, is not there for them.

Each change is one row and its audit row in one transaction (the commit point); a repeated call is
answered with what it finds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, connection, transaction

from registry.choices import RefKind
from registry.errors import (
    InvalidInputError,
    NameTakenError,
    NotAllowedError,
    UnknownRevisionError,
)
from registry.models import Alias, Model, Ref, Release, Revision
from registry.rights import Caller, need_write, sees_drafts
from registry.selectors import INSPECTED, LATEST, REVISION_ID, find_revision, newest_release
from registry.services import audit

MAIN = "main"
_HEADS, _TAGS = "refs/heads/", "refs/tags/"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*(?:/[A-Za-z0-9_][A-Za-z0-9._+-]*)*")
_MAX_NAME = 250
_MAX_WALK = 10_000
# From a revision back along its parents, newest first; `stop` ends at the first inspected one.
_WALK = """
WITH RECURSIVE line (id, parent_id, state, depth) AS (
    SELECT id, parent_id, state, 0 FROM registry_revision WHERE id = %(start)s
    UNION ALL
    SELECT older.id, older.parent_id, older.state, depth + 1
    FROM line JOIN registry_revision AS older ON older.id = line.parent_id
    WHERE depth + 1 < %(limit)s AND NOT (%(stop)s AND line.state = ANY(%(inspected)s))
) SELECT id, state FROM line ORDER BY depth
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A revision by one of its names, and what followed the name in an address."""

    revision: Revision
    name: str
    rest: str = ""


# ------------------------------------------------------------------ finding


def find(model: Model, name: str, user: Caller) -> Found:
    """Return the revision that `name`, all of it, names.

    Raises:
        UnknownRevisionError: there is none that `user` may know of.
    """
    found = split(model, name, user)
    if found.rest:
        raise _unknown(model, name)
    return found


def split(model: Model, text: str, user: Caller) -> Found:
    """Return the revision that the longest possible beginning of `text` names, and the rest.

    `text` is `name` or `name/path`; both may hold slashes.

    Raises:
        UnknownRevisionError: no beginning of it names a revision that `user` may know of.
    """
    parts = text.split("/")
    for prefix in (_HEADS, _TAGS):
        if text.startswith(prefix):
            parts = [prefix + parts[2], *parts[3:]]
    if REVISION_ID.fullmatch(parts[0]):
        revision = find_revision(model, parts[0], user)
        return Found(revision=revision, name=parts[0], rest="/".join(parts[1:]))
    names = ["/".join(parts[: end + 1]) for end in range(min(len(parts), 32))]
    known = _known(model, names)
    for name in reversed(names):
        revision_id = known.get(name)
        if revision_id is None:
            continue
        revision = _for_reader(model, name, revision_id, user)
        return Found(revision=revision, name=name, rest=text[len(name) :].strip("/"))
    raise _unknown(model, parts[0])


def _known(model: Model, names: Iterable[str]) -> dict[str, str]:
    """Return those of `names` that name a revision, with its id: the stronger meaning wins."""
    asked = {name.removeprefix(_HEADS).removeprefix(_TAGS) for name in names}
    asked = {name for name in asked if "\0" not in name}
    known = dict(
        Alias.objects.filter(model=model, name__in=asked).values_list(
            "name", "release__revision_id"
        )
    )
    newest = newest_release(model) if LATEST in asked else None
    if newest is not None:
        known[LATEST] = newest.revision_id
    tags = dict(
        Ref.objects.filter(model=model, kind=RefKind.TAG, name__in=asked).values_list(
            "name", "revision_id"
        )
    )
    tags |= dict(
        Release.objects.filter(model=model, version__in=asked).values_list("version", "revision_id")
    )
    heads = dict(
        Ref.objects.filter(model=model, kind=RefKind.BRANCH, name__in=asked).values_list(
            "name", "revision_id"
        )
    )
    if model.head_id:
        heads[MAIN] = model.head_id
    known |= tags | heads
    known |= {_TAGS + name: revision for name, revision in tags.items()}
    return known | {_HEADS + name: revision for name, revision in heads.items()}


def _for_reader(model: Model, name: str, revision_id: str, user: Caller) -> Revision:
    """Return the revision that `user` gets for `name`, which stands at `revision_id`."""
    if not sees_drafts(user, model) and is_branch(model, name):
        passed = newest_passed(revision_id)
        if passed is None:
            raise _unknown(model, name)
        revision_id = passed
    return find_revision(model, revision_id, user)


def is_branch(model: Model, name: str) -> bool:
    """Tell whether `name` is a branch of `model`."""
    short = name.removeprefix(_HEADS)
    if short == MAIN:
        return model.head_id is not None
    return Ref.objects.filter(model=model, kind=RefKind.BRANCH, name=short).exists()


def newest_passed(revision_id: str) -> str | None:
    """Return the revision, or the nearest of its ancestors, that passed its inspection."""
    *_, last = _walk(revision_id, _MAX_WALK, stop=True)
    return last[0] if last[1] in INSPECTED else None


def history(revision_id: str, limit: int) -> list[str]:
    """Return `revision_id` and its ancestors, newest first, at most `limit` of them."""
    return [pk for pk, _ in _walk(revision_id, limit, stop=False)]


def _walk(revision_id: str, limit: int, *, stop: bool) -> list[tuple[str, str]]:
    values: dict[str, Any] = {
        "start": revision_id,
        "limit": limit,
        "stop": stop,
        "inspected": [str(state) for state in INSPECTED],
    }
    with connection.cursor() as cursor:
        cursor.execute(_WALK, values)
        return [(str(pk), str(state)) for pk, state in cursor.fetchall()]


def _unknown(model: Model, name: str) -> UnknownRevisionError:
    return UnknownRevisionError(
        f"{model.full_name} has no revision '{name[:96]}'.", revision=name[:96]
    )


# ------------------------------------------------------------------ listing


def branches(model: Model, user: Caller) -> list[tuple[str, str]]:
    """Return (name, revision id) of each branch, `main` first, as `user` sees them."""
    rows = Ref.objects.filter(model=model, kind=RefKind.BRANCH).order_by("name")
    found = [(MAIN, model.head_id)] if model.head_id else []
    found += list(rows.values_list("name", "revision_id"))
    if sees_drafts(user, model):
        return found
    return [(name, passed) for name, pk in found if (passed := newest_passed(pk))]


def tags(model: Model, user: Caller) -> list[tuple[str, str]]:
    """Return (name, revision id) of each tag and each release's version."""
    rows = Ref.objects.filter(model=model, kind=RefKind.TAG).order_by("name")
    if not sees_drafts(user, model):
        rows = rows.filter(revision__state__in=INSPECTED)
    releases = Release.objects.filter(model=model).order_by("number")
    found = dict(rows.values_list("name", "revision_id"))
    found |= dict(releases.values_list("version", "revision_id"))
    return sorted(found.items())


# ------------------------------------------------------------------ changing


def create_branch(user: AbstractBaseUser, model: Model, name: str, start: str = MAIN) -> Ref:
    """Make the branch `name` at what `start` names.

    Raises:
        NotAllowedError: the model is somebody else's.
        InvalidInputError: no name for a branch.
        UnknownRevisionError: `start` names nothing.
        NameTakenError: there is a branch of that name.
    """
    return _create(user, model, RefKind.BRANCH, name, start)


def create_tag(user: AbstractBaseUser, model: Model, name: str, at: str, message: str = "") -> Ref:
    """Make the tag `name` of what `at` names; raises as `create_branch`."""
    return _create(user, model, RefKind.TAG, name, at, message)


def _create(
    user: AbstractBaseUser, model: Model, kind: RefKind, name: str, at: str, message: str = ""
) -> Ref:
    need_write(user, model)
    _check_name(name, kind)
    if len(message) > 500:
        raise InvalidInputError("A message has at most 500 characters.", field="message")
    taken = NameTakenError(f"The {kind} '{name}' exists already.", name=name)
    if name == MAIN or Release.objects.filter(model=model, version=name).exists():
        raise taken
    # Branches and tags win over aliases here, and nobody signs for them.
    if name.lower() == LATEST or Alias.objects.filter(model=model, name__iexact=name).exists():
        raise NameTakenError(f"'{name}' is an alias of {model.full_name}.", name=name)
    revision = find(model, at, user).revision
    try:
        with transaction.atomic():
            ref = Ref.objects.create(
                model=model,
                kind=kind,
                name=name,
                revision=revision,
                message=message,
                author_id=user.pk,
            )
            audit.note(
                user,
                f"{kind}.create",
                model.full_name,
                about=model,
                name=name,
                revision=revision.pk,
            )
    except IntegrityError:
        raise taken from None
    return ref


def _check_name(name: str, kind: RefKind) -> None:
    bad = (
        len(name) > _MAX_NAME
        or _NAME.fullmatch(name) is None
        or ".." in name
        or name.endswith((".", ".lock"))
        or name.startswith("refs/")
    )
    if bad or REVISION_ID.fullmatch(name):
        raise InvalidInputError(
            f"A {kind} has letters, digits, '.', '_', '+', '-' and single slashes, begins with a "
            "letter, a digit or '_', does not end in '.' or '.lock', and is no commit's id.",
            field=str(kind),
            value=name[:96],
        )


def find_branch(model: Model, name: str) -> Ref | None:
    """Return the row of a branch to commit to; None for `main`, which has none.

    Raises:
        InvalidInputError: `name` names something else: a commit or a tag takes no commits.
        UnknownRevisionError: there is nothing of that name.
    """
    short = name.removeprefix(_HEADS)
    if short == MAIN:
        return None
    row = (
        Ref.objects.filter(model=model, kind=RefKind.BRANCH, name=short.replace("\0", ""))
        .select_related("revision")
        .first()
    )
    if row is None:
        if REVISION_ID.fullmatch(name) or name in _known(model, [name]):
            raise InvalidInputError(f"'{name}' is no branch: commit to one.", field="revision")
        raise _unknown(model, name)
    return row


def delete(user: AbstractBaseUser, model: Model, kind: RefKind, name: str) -> None:
    """Forget a branch or a tag; its revisions stay.

    Raises:
        NotAllowedError: the model is somebody else's; `main` and releases stay for ever.
        UnknownRevisionError: there is none of that name.
    """
    need_write(user, model)
    if kind == RefKind.BRANCH and name == MAIN:
        raise NotAllowedError("The branch main cannot be deleted.", name=name)
    with transaction.atomic():
        gone, _ = Ref.objects.filter(model=model, kind=kind, name=name).delete()
        if gone:
            audit.note(user, f"{kind}.delete", model.full_name, about=model, name=name)
            return
    if kind == RefKind.TAG and Release.objects.filter(model=model, version=name).exists():
        raise NotAllowedError(
            f"'{name}' is a release, which stays for ever; it can be withdrawn.", name=name
        )
    raise _unknown(model, name)
