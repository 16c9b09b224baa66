"""Appeals: the publisher of a revision that failed its inspection asks a person to look.

A moderator lets the refusal stand, or has the revision inspected again, as when a rule was mended
since. Nobody lets a file through by hand: what is published has passed.

Commit point: one transaction for the answer, the revision's state and the audit row. A crash before
it leaves the appeal waiting.
"""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.utils import timezone

from registry.choices import AppealState, RevisionState
from registry.errors import (
    ConflictError,
    InvalidInputError,
    NotAllowedError,
    UnknownAppealError,
)
from registry.models import Appeal, Revision
from registry.rights import need_write
from registry.services import audit
from registry.signals import revision_committed

MAX_TEXT = 2_000
MAX_APPEALS = 5


def ask(user: AbstractBaseUser, revision: Revision, text: str) -> Appeal:
    """Ask a moderator to look at the failed inspection of `revision`.

    Raises:
        NotAllowedError: the caller may not write to the model.
        InvalidInputError: no text, or too much.
        ConflictError: it has not failed, an appeal waits already, or there were five.
    """
    need_write(user, revision.model)
    words = text.strip().replace("\0", "")
    if not 1 <= len(words) <= MAX_TEXT:
        raise InvalidInputError(f"Say why, in 1 to {MAX_TEXT} characters.", field="text")
    if revision.state != RevisionState.FAILED:
        raise ConflictError("Only a failed inspection can be appealed.", state=revision.state)
    if revision.appeals.count() >= MAX_APPEALS:
        raise ConflictError(f"A revision is looked at {MAX_APPEALS} times at most.")
    try:
        with transaction.atomic():
            appeal = Appeal.objects.create(
                revision=revision,
                user_id=user.pk,
                text=words,
                findings=revision.report.get("findings", []),
            )
            audit.note(user, "revision.appeal", revision.pk)
    except IntegrityError:
        raise ConflictError("An appeal waits for its answer already.") from None
    return appeal


def newest(revision: Revision) -> Appeal:
    """Return the newest appeal of a revision; UnknownAppealError when there is none."""
    found = revision.appeals.order_by("-created_at", "-pk").first()
    if found is None:
        raise UnknownAppealError("Nobody has appealed.", revision=revision.pk)
    return found


def answer(moderator: AbstractBaseUser, appeal: Appeal, state: str, text: str) -> Appeal:
    """Answer an appeal: `upheld`, or `again`, which inspects the revision again.

    Raises:
        NotAllowedError: the caller is no moderator.
        InvalidInputError: no such answer, or no words.
        ConflictError: it was answered already.
    """
    if not getattr(moderator, "is_staff", False):
        raise NotAllowedError("Only moderators answer appeals.")
    words = text.strip().replace("\0", "")
    if state not in (AppealState.UPHELD, AppealState.AGAIN):
        raise InvalidInputError("The answer is 'upheld' or 'again'.", field="state")
    if not 1 <= len(words) <= MAX_TEXT:
        raise InvalidInputError(f"Answer in 1 to {MAX_TEXT} characters.", field="answer")
    with transaction.atomic():
        found = Appeal.objects.select_for_update(of=("self",)).get(pk=appeal.pk)
        if found.state != AppealState.WAITING:
            raise ConflictError("This appeal was answered already.", state=found.state)
        found.state, found.answer, found.moderator_id = state, words, moderator.pk
        found.answered_at = timezone.now()
        found.save(update_fields=("state", "answer", "moderator", "answered_at"))
        if state == AppealState.AGAIN:
            _inspect_again(found.revision_id)
        audit.note(moderator, "revision.appeal_answered", found.revision_id, answer=str(state))
    return found


def _inspect_again(revision_id: str) -> None:
    """Let a failed revision wait for an inspection: its report stays with the appeal."""
    failed = Revision.objects.filter(pk=revision_id, state=RevisionState.FAILED)
    if failed.update(state=RevisionState.PENDING, report={}, inspected_at=None):
        revision_committed.send(Revision, revision_id=revision_id)
