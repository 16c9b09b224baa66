"""Reads across tables: executions as a caller may see them, and the bytes of tensors."""

from __future__ import annotations

import io
import uuid
from dataclasses import dataclass
from typing import BinaryIO

from django.db.models import CharField, Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Cast

from assay.dsse import PublicKey
from inference.choices import ExecutionState
from inference.errors import DroppedError, UnknownExecutionError
from inference.models import Execution, Tensors
from registry.choices import KeyRole, KeyState, Standing, Target
from registry.errors import UnknownFileError
from registry.models import FormerName, Key, ModerationAction
from registry.moderated import UNDONE_BY, standing_action
from registry.rights import Caller, fetchable, reached, reaches, token_of
from registry.storage import BlobStore, blobs

PAGE = 50
NONCE_BYTES = 32
_STOPPED = "_stopped_by"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some executions, newest first; `next` is the cursor of the page after, "" at the end."""

    executions: list[Execution]
    next: str


def visible(user: Caller) -> QuerySet[Execution]:
    """Return the executions that `user` may know of: of models they may run, and their own."""
    seen = fetchable(user, "revision__model__")
    if user is not None and user.is_authenticated:
        seen |= Q(caller_id=user.pk) & reached(user, "revision__model__")
    related = ("revision__release", "revision__model__owner", "output", "entry", "caller")
    return Execution.objects.filter(seen).select_related(*related)


def own(user: Caller) -> QuerySet[Execution]:
    """Return the executions that `user` started, of models that their token's limits leave them."""
    if user is None or not user.is_authenticated:
        return Execution.objects.none()
    return Execution.objects.filter(reached(user, "revision__model__"), caller_id=user.pk)


def newest_example(looked_at: int = 200) -> Execution | None:
    """Return the newest execution that anybody may see whole: it succeeded, and its entry counts.

    Moderators let model, release and tensors stand. Only the newest `looked_at` of all are looked
    at, so that the cost is that of these.
    """
    # By value: as a part of the query it makes the database begin with all executions.
    newest = list(Execution.objects.order_by("-id").values_list("pk", flat=True)[:looked_at])
    rows = visible(None).filter(pk__in=newest, state=ExecutionState.SUCCEEDED, private=False)
    kept = rows.filter(dropped_at=None, entry__index__isnull=False)
    stands = Q(revision__release=None) | Q(revision__release__standing=Standing.GOOD)
    about = ModerationAction.objects.filter(
        kind=Target.EXECUTION, target=Cast(OuterRef("pk"), CharField())
    )
    newest_act = Subquery(about.order_by("-number").values("act")[:1])
    kept = kept.filter(stands, revision__model__standing=Standing.GOOD).annotate(act=newest_act)
    kept = kept.filter(Q(act=None) | ~Q(act__in=UNDONE_BY))
    return kept.select_related("input").order_by("-id").first()


def find(execution_id: uuid.UUID | str, user: Caller) -> Execution:
    """Return one execution.

    Raises:
        UnknownExecutionError: there is none, or none that `user` may know of.
    """
    found = visible(user).filter(pk=execution_id).first()
    if found is None:
        raise UnknownExecutionError("There is no such execution.", execution=str(execution_id))
    return found


def page(
    user: Caller,
    *,
    model: str = "",
    state: str = "",
    batch: str = "",
    mine: bool = False,
    cursor: str = "",
    size: int = PAGE,
) -> Page:
    """Return a page, newest first. Ids sort by time, so the last id shown is the cursor.

    `model` is "owner/name", of today or as it was when the execution ran; `mine` leaves only those
    that `user` started. A malformed cursor is the beginning.
    """
    rows = visible(user).order_by("-id")
    if mine:
        # An anonymous reader has no key, and NULL would find everybody else who had none.
        rows = rows.filter(caller_id=user.pk) if user and user.is_authenticated else rows.none()
    if model:
        # A name that PostgreSQL cannot hold is nobody's.
        rows = rows.none() if "\0" in model else rows.filter(_named(model))
    if state:
        rows = rows.filter(state=state)
    if batch:
        wanted = _parse(batch)
        rows = rows.none() if wanted is None else rows.filter(batch=wanted)
    before = _parse(cursor)
    if before is not None:
        rows = rows.filter(id__lt=before)
    found = list(rows[: size + 1])
    more = len(found) > size
    return Page(executions=found[:size], next=str(found[size - 1].id) if more else "")


def _named(model: str) -> Q:
    """Return the condition for executions of the model called so, under its former names too."""
    owner, _, name = model.partition("/")
    former = FormerName.objects.filter(
        model__owner__name__iexact=owner, model__name__iexact=name
    ).values_list("name", flat=True)
    found = Q(model_name__iexact=model)
    for known in former:
        found |= Q(model_name__iexact=known)
    return found


def batch_states(batch: uuid.UUID, user: Caller) -> dict[str, int]:
    """Return how many executions of a batch stand in each state, as far as `user` may know.

    Raises:
        UnknownExecutionError: there is no such batch, or none that `user` may know of.
    """
    rows = visible(user).filter(batch=batch).order_by()
    found = {row["state"]: row["n"] for row in rows.values("state").annotate(n=Count("pk"))}
    if not found:
        raise UnknownExecutionError("There is no such batch.", batch=str(batch))
    return {state: found.get(state, 0) for state in ExecutionState.values}


def _parse(cursor: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(cursor)
    except ValueError:
        return None


def is_caller(execution: Execution, user: Caller) -> bool:
    """Tell whether `user` started `execution`, of a model that their token's limits leave them."""
    started = user is not None and user.is_authenticated and execution.caller_id == user.pk
    return started and (token_of(user) is None or reaches(user, execution.revision.model))


def may_see_tensors(execution: Execution, user: Caller) -> bool:
    """Tell whether the tensors of `execution`, which `user` may know of, are for `user` too.

    Those of a private execution are its caller's alone until they are disclosed; those that
    moderators stopped are nobody's.
    """
    if stopped(execution) is not None:
        return False
    closed = execution.private and execution.disclosed_at is None
    return not closed or is_caller(execution, user)


def stopped(execution: Execution) -> ModerationAction | None:
    """Return the action of moderators that stands against the tensors; asked once for a row."""
    known: dict[str, ModerationAction | None] = vars(execution)
    if _STOPPED not in known:
        known[_STOPPED] = standing_action(Target.EXECUTION, str(execution.pk))
    return known[_STOPPED]


def tensor_files() -> BlobStore:
    """Return where large tensor sets lie: apart from the files of models, which never expire."""
    return blobs("tensors/")


def tensor_bytes(row: Tensors) -> bytes:
    """Return the `assay-tensors-v1` bytes of `row`.

    Raises:
        DroppedError: they have been dropped.
        UnknownFileError: they are in the blob storage no more.
    """
    with open_tensors(row) as stream:
        return stream.read()


def open_tensors(row: Tensors) -> BinaryIO:
    """Return a stream of the `assay-tensors-v1` bytes of `row`; raises as `tensor_bytes`."""
    if row.dropped_at is not None:
        raise DroppedError("These tensors are not kept any more.")
    skip = NONCE_BYTES if row.salted else 0
    if row.inline is not None:
        return io.BytesIO(bytes(row.inline)[skip:])
    stream = _open_blob(row.sha256)
    stream.seek(skip)
    return stream


def _open_blob(sha256: str) -> BinaryIO:
    try:
        return tensor_files().open(sha256)
    except UnknownFileError:
        # Sets that were stored before they had a place of their own.
        return blobs().open(sha256)


def executor_keys() -> list[PublicKey]:
    """Return the registered keys of executors: the only ones whose statements are stored."""
    rows = Key.objects.filter(role=KeyRole.EXECUTOR, state=KeyState.REGISTERED)
    return [PublicKey(spki=bytes(spki)) for spki in rows.values_list("spki", flat=True)]
