"""What moderators stop while it waits in the queue is not run, and nobody runs it again."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.contrib.auth.models import User

from assay.dsse import sign
from inference.choices import ExecutionState
from inference.ids import uuid7
from inference.models import Execution
from inference.services.queue import claim
from inference.services.submit import retry
from inference.services.traces import ask_for
from inference.services.work import work
from registry import moderated
from registry.choices import Act, Target
from registry.errors import HiddenError, TakenDownError
from registry.models import Release
from tests.people import Person
from tests.registry import executing
from tests.registry.conftest import first, opened
from tests.registry.moderating import Things, make_moderator, things_of

__all__ = ["first", "opened"]


@pytest.fixture
def carol(db: None) -> User:
    return make_moderator()


@pytest.fixture
def things(first: Release) -> Things:
    return things_of(first)


def queued(things: Things, alice: Person) -> Execution:
    row = Execution.objects.get(pk=things.names[Target.EXECUTION])
    return Execution.objects.create(
        id=UUID(int=row.pk.int + 1),
        caller=alice.user,
        request_digest=row.request_digest,
        state=ExecutionState.QUEUED,
        available_at=row.available_at,
        deadline=row.deadline,
        revision=row.revision,
        model_name=row.model_name,
        manifest=row.manifest,
        graph_path=row.graph_path,
        executor_kind=row.executor_kind,
        input=row.input,
    )


@pytest.mark.parametrize(
    ("act", "kind", "code"),
    [
        (Act.HIDE, Target.MODEL, "hidden"),
        (Act.TAKEDOWN, Target.MODEL, "taken_down"),
        (Act.HIDE, Target.RELEASE, "hidden"),
        (Act.TAKEDOWN, Target.FILE, "taken_down"),
        (Act.SUSPEND, Target.OWNER, "suspended"),
    ],
)
def test_what_waits_is_not_run_once_it_was_stopped(
    act: Act, kind: Target, code: str, carol: User, things: Things, alice: Person
) -> None:
    waiting = queued(things, alice)
    things.do(carol, act, kind)
    (taken,) = claim(1)
    work(taken)
    waiting.refresh_from_db()
    assert (waiting.state, waiting.error_code) == (ExecutionState.FAILED, code)


def test_nothing_stands_against_what_was_never_acted_on(things: Things, first: Release) -> None:
    moderated.need_run(first.revision_id, None)
    moderated.need_tensors(things.names[Target.EXECUTION])


def test_tensors_that_were_stopped_are_neither_run_again_nor_traced(
    carol: User, things: Things, alice: Person, first: Release
) -> None:
    pk, key = uuid7(), executing.executor_key()
    entry = executing._log(sign(executing.statement(first.revision, pk), key), key)
    ended = {"state": ExecutionState.SUCCEEDED, "output": executing._tensors(), "entry_id": entry}
    executing._row(first.revision, pk, None, caller=alice.user, **ended)
    things.names[Target.EXECUTION] = str(pk)
    things.do(carol, Act.HIDE, Target.EXECUTION)
    for ask in (lambda: retry(alice.user, pk), lambda: ask_for(pk, alice.user)):
        with pytest.raises(HiddenError):
            ask()
    things.do(carol, Act.TAKEDOWN, Target.EXECUTION)
    with pytest.raises(TakenDownError):
        retry(alice.user, pk)
