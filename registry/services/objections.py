"""Appeals against what moderators did: one for an action, by its owner, decided by another.

1. Whoever speaks for the thing appeals once, suspended or not. COMMIT POINT: row and audit row.
2. A moderator who did not do it, and whose it is not, decides. To uphold is an answer that
   everybody reads. To grant is an act of its own (`restore`, `reinstate`) with its statement: row,
   action, ledger entry and audit row are one transaction (COMMIT POINT). It undoes the newest
   action about the thing, and no other.

A crash before either commit leaves all as it was; to send it again is the recovery. What was
answered stays answered: the database sees to it. The end of a key stands, so its appeal can be
answered and not granted.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.utils import timezone

from registry import moderated
from registry.choices import Act, Category, KeyRole, ObjectionState, Target
from registry.errors import ConflictError, InvalidInputError, NotAllowedError, UnknownActionError
from registry.models import ModerationAction, Objection
from registry.services import audit, letters, moderation, moderation_targets as targets
from registry.services.own_key import ensure_service_key

MIN_TEXT, MAX_TEXT = 10, 4_000


def may_ask(user: object, action: ModerationAction) -> bool:
    """Tell whether `user` may appeal against `action` now."""
    return (
        isinstance(user, AbstractBaseUser)
        and action.act in moderated.UNDONE_BY
        and moderated.objection_of(action) is None
        and targets.may_object(user, action)
    )


def ask(user: AbstractBaseUser, action: ModerationAction, text: str) -> Objection:
    """Appeal against `action`.

    Raises:
        UnknownActionError: it is nothing of the caller's.
        InvalidInputError: no words, or too many; or an action that undid another.
        ConflictError: there was an appeal already.
    """
    if not targets.may_object(user, action):
        raise UnknownActionError("This is about nothing of yours.", number=action.number)
    if action.act not in moderated.UNDONE_BY:
        raise InvalidInputError("This action stands against nobody.", field="number")
    words = moderation.check_text(text, "text", MIN_TEXT, MAX_TEXT)
    try:
        with transaction.atomic():
            row = Objection.objects.create(action=action, user_id=user.pk, text=words)
            audit.note(user, "moderation.appeal", action.name, about=action.owner)
    except IntegrityError:
        raise ConflictError("There was an appeal against this action already.") from None
    return row


def decide(
    moderator: AbstractBaseUser, objection: Objection, state: str, answer: str, *, seen: int
) -> Objection:
    """Answer an appeal: `upheld`, or `granted`, which undoes the action by an act of its own.

    `seen` is the number of the newest action about the thing that the moderator saw.

    Raises:
        NotAllowedError: no moderator, or the one who acted, or who speaks for the thing.
        InvalidInputError: no such answer, or no words; or the end of a key, which stands.
        ConflictError: it was answered already, or something was done since.
    """
    moderation.need_moderator(moderator)
    if moderator.pk == objection.action.moderator_id:
        raise NotAllowedError("Another moderator than the one who acted decides an appeal.")
    if moderator.pk == objection.user_id or targets.may_object(moderator, objection.action):
        raise NotAllowedError("This was done to what is yours: another moderator decides.")
    if state not in (ObjectionState.UPHELD, ObjectionState.GRANTED):
        raise InvalidInputError("The answer is 'upheld' or 'granted'.", field="state")
    words = moderation.check_text(answer, "answer", moderation.MIN_REASON, moderation.MAX_REASON)
    if state == ObjectionState.GRANTED and objection.action.kind == Target.KEY:
        raise InvalidInputError(
            "The end of a key stands: its owner registers another.", field="state"
        )
    private, _ = ensure_service_key(settings.REGISTRY_KEY, KeyRole.REGISTRY)
    with transaction.atomic():
        row = Objection.objects.select_for_update(of=("self",)).get(pk=objection.pk)
        if row.state != ObjectionState.WAITING:
            raise ConflictError("This appeal was answered already.", state=row.state)
        action = moderated.find_action(objection.action.number)
        if state == ObjectionState.GRANTED:
            _check_newest(action)
            row.outcome = moderation.within(moderator, _undoing(action, words, seen), private)
        row.state, row.answer, row.moderator_id = state, words, moderator.pk
        row.decided_at = timezone.now()
        row.save(update_fields=("state", "answer", "moderator", "decided_at", "outcome"))
        audit.note(
            moderator, "moderation.appeal_answered", action.name, about=action.owner, answer=state
        )
        _tell(row, action)
    return row


def _check_newest(action: ModerationAction) -> None:
    """Let an appeal undo what it is against, and nothing that was done for other reasons since."""
    newest = moderated.newest(Target(action.kind), action.target)
    if newest is not None and newest.pk != action.pk:
        raise ConflictError(
            f"Action {newest.number} came after the one that this appeal is against.",
            seen=newest.number,
        )


def _undoing(action: ModerationAction, words: str, seen: int) -> moderation.Wanted:
    return moderation.Wanted(
        act=moderated.UNDONE_BY[Act(action.act)],
        kind=Target(action.kind),
        name=targets.name_of(action),
        category=Category.CORRECTION,
        reason=words,
        seen=seen,
    )


def _tell(row: Objection, action: ModerationAction) -> None:
    letters.write(
        [row.user],
        f"Your appeal about {action.name} was answered",
        f"{row.get_state_display().capitalize()}.\n\n{row.answer}\n\n"
        f"{settings.SITE_URL}{moderated.action_url(action)}",
    )
