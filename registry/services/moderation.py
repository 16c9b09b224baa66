"""What moderators do: each act is one transaction with the registry's signed statement in it.

1. The caller is a moderator (`registry.moderate`, staff) with a session, and not suspended: no
   token moderates. Nobody judges their own: what was done to it another moderator undoes, and
   reports about it another one dismisses.
2. Category and reason are there; the reason is the text that the public reads, and is signed.
3. The registry's own key exists and is registered (a transaction of its own, safe to repeat).
4. One act at a time: a lock gives numbers without gaps, and a second act on the same thing waits.
5. The thing is held, as it stands now; the act is possible, and nobody else acted since the caller
   looked (`seen`).
6. What is dangerous has the thing's name typed.
7. The `moderation` statement is signed and handed to the log.
8. COMMIT POINT: the log's entry, the action, how the thing stands, the audit row, the letter to the
   owner, and the reports that it answers, in one transaction.

A failure or a crash before the commit leaves nothing of it (of step 3 a key that has signed nothing
yet), after it everything. The recovery is to send it again: it is done, or the repetition is told
that it was (step 5). Nothing is sent or deleted outside the transaction: content that
is taken down stays stored, so that an appeal can be granted.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from assay.dsse import public_key_of, sign
from assay.statements import ModerationPredicate, Statement, render
from ledger import services as ledger
from registry import moderated
from registry.choices import (
    Act,
    Category,
    KeyEvent,
    KeyRole,
    KeyState,
    ReportState,
    Standing,
    Target,
)
from registry.errors import ConflictError, InvalidInputError, NotAllowedError, RegistryError
from registry.models import Key, ModerationAction, Report
from registry.rights import token_of
from registry.services import alarms, audit, keys, letters, moderation_targets as targets
from registry.services.locks import hold_address
from registry.services.own_key import ensure_service_key

PERMISSION = "registry.moderate"
MIN_REASON, MAX_REASON = 10, 2_000
_LETTER = """The moderators of this site acted on what is yours.

What:     {name} was {past}.
Why:      {category}
In words: {reason}
Where:    {url}

The action is signed and in the ledger. {appeal}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a moderator wants done, and what the public will read.

    `typed` is the name that was typed for what is dangerous; `seen` the number of the newest action
    about the thing that the moderator saw, 0 for none.
    """

    act: Act
    kind: Target
    name: str
    category: Category
    reason: str
    typed: str = ""
    seen: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What `act` would do: the thing, and the statement that would be signed."""

    found: targets.Found
    statement: Statement
    seen: int


def is_moderator(user: object) -> bool:
    """Tell whether `user` may moderate: active staff with the permission, and no token."""
    return (
        isinstance(user, AbstractBaseUser)
        and bool(user.is_active and getattr(user, "is_staff", False))
        and bool(user.has_perm(PERMISSION))  # type: ignore[attr-defined]  # accounts have it
        and token_of(user) is None
    )


def need_moderator(user: object) -> None:
    """Return when `user` is a moderator who is signed in.

    Raises:
        NotAllowedError: somebody else.
        SuspendedError: their account is suspended.
    """
    if not is_moderator(user):
        raise NotAllowedError("Only moderators do this, and only while they are signed in.")
    moderated.need_active(user)


def preview(moderator: AbstractBaseUser, wanted: Wanted) -> Preview:
    """Return what `act` would sign, without doing it; raises as `act` in steps 1, 2 and 5."""
    need_moderator(moderator)
    wanted = _checked(wanted)
    found = targets.find(wanted.kind, wanted.name)
    _check_own(moderator, wanted.act, found)
    _check_possible(wanted.act, found)
    return Preview(found=found, statement=_statement(wanted, found), seen=_last(found))


def act(moderator: AbstractBaseUser, wanted: Wanted) -> ModerationAction:
    """Do what is wanted, and say so in the ledger.

    Raises:
        NotAllowedError, SuspendedError: step 1.
        InvalidInputError: steps 2 and 6, or no such thing.
        UnknownModelError, UnknownOwnerError, UnknownFileError, UnknownKeyError: no such thing.
        ConflictError: step 5; the detail has how the thing stands.
        ReplayedSignatureError: the very same was said before, and no checkpoint was made since.
        LedgerError: the log takes nothing now.
    """
    need_moderator(moderator)
    wanted = _checked(wanted)
    private, _ = ensure_service_key(settings.REGISTRY_KEY, KeyRole.REGISTRY)
    with transaction.atomic():
        return within(moderator, wanted, private)


def within(
    moderator: AbstractBaseUser, wanted: Wanted, private: ec.EllipticCurvePrivateKey
) -> ModerationAction:
    """Steps 4 to 8 in the caller's transaction; raises as `act`."""
    hold_address("/moderation/")
    found = targets.hold(targets.find(wanted.kind, wanted.name))
    _check_own(moderator, wanted.act, found)
    _check_possible(wanted.act, found)
    if _last(found) != wanted.seen:
        raise ConflictError(
            "Another moderator acted on it since you looked: look again.", seen=_last(found)
        )
    _check_typed(wanted, found)
    statement = _statement(wanted, found)
    public = public_key_of(private.public_key())
    if found.kind == Target.KEY and found.target == public.fingerprint:
        raise ConflictError("The registry's own key signs this: it cannot end itself here.")
    entry = keys.append(sign(render(statement), private), public, statement, model=found.model)
    action = _write(moderator, wanted, found, entry)
    _tell(moderator, action, found)
    return action


# ------------------------------------------------------------------ steps


def _checked(wanted: Wanted) -> Wanted:
    reason = check_text(wanted.reason, "reason", MIN_REASON, MAX_REASON)
    if wanted.act not in moderated.ACTS[wanted.kind]:
        raise InvalidInputError(f"Nobody can {wanted.act} a {wanted.kind}.", field="act")
    return Wanted(
        act=wanted.act,
        kind=wanted.kind,
        name=wanted.name,
        category=wanted.category,
        reason=reason,
        typed=wanted.typed,
        seen=wanted.seen,
    )


def check_text(text: str, field: str, least: int, most: int) -> str:
    """Return `text` with one kind of line end and no spaces around it.

    Raises:
        InvalidInputError: shorter or longer than that, or characters that nobody can read.
    """
    words = "\n".join(line.rstrip() for line in text.strip().splitlines())
    if not least <= len(words) <= most:
        raise InvalidInputError(f"Write {least} to {most} characters.", field=field)
    if not words.replace("\n", "").isprintable():
        raise InvalidInputError("The text holds characters that cannot be read.", field=field)
    return words


def _last(found: targets.Found) -> int:
    newest = moderated.newest(found.kind, found.target)
    return 0 if newest is None else newest.number


def _check_own(moderator: AbstractBaseUser, act: Act, found: targets.Found) -> None:
    if act not in moderated.UNDONE_BY and targets.is_own(moderator, found):
        raise NotAllowedError("This was done to what is yours: another moderator undoes it.")


def _check_possible(act: Act, found: targets.Found) -> None:
    if act not in moderated.possible(found.kind, found.standing):
        told = found.standing.label if found.standing else "as its owner wants it"
        raise ConflictError(
            f"{found.name} is {told} already: it cannot be {moderated.PAST[act]}.",
            standing=str(found.standing),
        )


def _check_typed(wanted: Wanted, found: targets.Found) -> None:
    if wanted.act in moderated.DANGEROUS and wanted.typed.strip() != found.name:
        raise InvalidInputError(f"Type the name, {found.name}, to go on.", field="typed")


def _statement(wanted: Wanted, found: targets.Found) -> Statement:
    predicate = ModerationPredicate(
        observed=ledger.observed(),
        action=wanted.act.value,
        category=wanted.category.value,
        reason=wanted.reason,
    )
    return predicate.statement([found.subject])


def _write(
    moderator: AbstractBaseUser, wanted: Wanted, found: targets.Found, entry: int
) -> ModerationAction:
    last = ModerationAction.objects.aggregate(n=Max("number"))["n"] or 0
    action = ModerationAction.objects.create(
        number=last + 1,
        act=wanted.act,
        kind=found.kind,
        target=found.target,
        name=found.name,
        sha256=found.subject.sha256,
        owner=found.owner,
        category=wanted.category,
        reason=wanted.reason,
        moderator_id=moderator.pk,
        entry_id=entry,
    )
    targets.set_standing(found, moderated.LEADS_TO[wanted.act])
    if found.kind == Target.KEY:
        _end_key(moderator, found, action)
    if moderated.LEADS_TO[wanted.act] != Standing.GOOD:
        waiting = Report.objects.filter(
            kind=found.kind, target=found.target, state=ReportState.WAITING
        )
        waiting.update(
            state=ReportState.ACTED,
            action=action,
            handled_by=moderator.pk,
            handled_at=timezone.now(),
        )
    return action


def _end_key(moderator: AbstractBaseUser, found: targets.Found, action: ModerationAction) -> None:
    """Let a key's statements count only below the entry of the action, as a revocation does."""
    key = Key.objects.select_related("owner").get(pk=found.target)
    key.state = KeyState.REVOKED
    key.revocation_id = action.entry_id
    key.revocation_reason = action.reason[: keys.MAX_REASON]
    key.save(update_fields=("state", "revocation", "revocation_reason"))
    alarms.raise_alarm(moderator, key, KeyEvent.REVOKED)


def _tell(moderator: AbstractBaseUser, action: ModerationAction, found: targets.Found) -> None:
    data: dict[str, Any] = {"number": action.number, "category": action.category}
    audit.note(moderator, f"moderation.{action.act}", action.name, about=found.owner, **data)
    if found.owner is None:
        return
    page = f"{settings.SITE_URL}{moderated.action_url(action)}"
    appealed = "You may appeal there, once; another moderator answers."
    letters.write(
        letters.admins(found.owner),
        f"{action.name} was {moderated.PAST[Act(action.act)]}",
        _LETTER.format(
            name=action.name,
            past=moderated.PAST[Act(action.act)],
            category=action.get_category_display(),
            reason=action.reason,
            url=page,
            appeal=appealed if action.act in moderated.UNDONE_BY else "",
        ),
    )


def dismiss(moderator: AbstractBaseUser, reports: Collection[Report], note: str) -> int:
    """Answer reports with nothing but a note for moderators; return how many still waited.

    Raises:
        NotAllowedError: the caller is no moderator, or one is about what is theirs.
        SuspendedError: their account is suspended.
        InvalidInputError: no note.
    """
    need_moderator(moderator)
    words = check_text(note, "note", 3, 500)
    with transaction.atomic():
        waiting = Report.objects.select_for_update(no_key=True, of=("self",)).filter(
            pk__in=[report.pk for report in reports], state=ReportState.WAITING
        )
        rows = list(waiting.order_by("pk"))
        for row in {(row.kind, row.target): row for row in rows}.values():
            if _is_own(moderator, row):
                raise NotAllowedError("This is about what is yours: another moderator looks.")
        Report.objects.filter(pk__in=[row.pk for row in rows]).update(
            state=ReportState.DISMISSED,
            note=words,
            handled_by=moderator.pk,
            handled_at=timezone.now(),
        )
        for row in rows:
            audit.note(moderator, "report.dismiss", row.name, report=row.pk)
    return len(rows)


def _is_own(moderator: AbstractBaseUser, report: Report) -> bool:
    try:
        found = targets.find(Target(report.kind), targets.name_of(report))
    except RegistryError:  # it is gone, and nobody's
        return False
    return targets.is_own(moderator, found)
