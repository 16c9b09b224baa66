"""What moderators did, as everybody else reads it: how things stand, and the refusals that follow.

1. What is taken down is answered with 451 and the registry's statement, to everybody (RFC 7725).
2. What is hidden is shown with a banner; it is neither downloaded nor run, and not in lists.
3. Who is suspended reads on, and changes nothing; what they published stands as it stood.
4. What was signed stays: receipts, bundles, proofs and the ledger's pages are never refused.

How a model, release, file or owner stands is a column of its row. The tensors of an execution have
none: the newest action about them tells.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Exists, OuterRef, Q, QuerySet

from assay.statements import timestamp
from ledger import services as ledger
from ledger.services.receipts import envelope_of
from registry.choices import Act, Standing, Target
from registry.errors import (
    HiddenError,
    ModeratedError,
    SuspendedError,
    TakenDownError,
    UnknownActionError,
)
from registry.models import (
    Blob,
    Key,
    Model,
    ModerationAction,
    Objection,
    Owner,
    Release,
    Revision,
    RevisionFile,
)
from registry.paths import CARD

Row = Model | Release | Blob | Owner

# What may be done to what.
ACTS: dict[Target, tuple[Act, ...]] = {
    Target.MODEL: (Act.HIDE, Act.TAKEDOWN, Act.RESTORE),
    Target.RELEASE: (Act.HIDE, Act.TAKEDOWN, Act.RESTORE),
    Target.FILE: (Act.HIDE, Act.TAKEDOWN, Act.RESTORE),
    Target.EXECUTION: (Act.HIDE, Act.TAKEDOWN, Act.RESTORE),
    Target.OWNER: (Act.SUSPEND, Act.REINSTATE),
    Target.KEY: (Act.SUSPEND,),  # the end of a key stands
}
LEADS_TO = {
    Act.HIDE: Standing.HIDDEN,
    Act.TAKEDOWN: Standing.TAKEN_DOWN,
    Act.SUSPEND: Standing.SUSPENDED,
    Act.RESTORE: Standing.GOOD,
    Act.REINSTATE: Standing.GOOD,
}
UNDONE_BY = {
    Act.HIDE: Act.RESTORE,
    Act.TAKEDOWN: Act.RESTORE,
    Act.SUSPEND: Act.REINSTATE,
}
DANGEROUS = (Act.TAKEDOWN, Act.SUSPEND)
PAST = {
    Act.HIDE: "hidden",
    Act.RESTORE: "restored",
    Act.TAKEDOWN: "taken down",
    Act.SUSPEND: "suspended",
    Act.REINSTATE: "reinstated",
}
_KINDS: dict[type[Any], Target] = {
    Model: Target.MODEL,
    Release: Target.RELEASE,
    Blob: Target.FILE,
    Owner: Target.OWNER,
}
_ERRORS: dict[str, type[ModeratedError]] = {
    Act.HIDE: HiddenError,
    Act.TAKEDOWN: TakenDownError,
    Act.SUSPEND: SuspendedError,
}


def possible(kind: Target, standing: Standing) -> tuple[Act, ...]:
    """Return what can be done to a thing of this kind that stands so."""
    if standing == Standing.GOOD:
        return tuple(act for act in ACTS[kind] if act in UNDONE_BY)
    undoing = tuple(act for act in ACTS[kind] if act not in UNDONE_BY)
    return (*undoing, Act.TAKEDOWN) if standing == Standing.HIDDEN else undoing


# ------------------------------------------------------------------ actions


def actions() -> QuerySet[ModerationAction]:
    """Return every action with its entry, newest first."""
    return ModerationAction.objects.select_related("entry__payload", "owner", "objection")


def find_action(number: int) -> ModerationAction:
    """Return one action; UnknownActionError when there is none of this number."""
    found = actions().filter(number=number).first() if 0 < number < 2**31 else None
    if found is None:
        raise UnknownActionError("There is no such action.", number=number)
    return found


def newest(kind: Target, target: str) -> ModerationAction | None:
    """Return the newest action about a thing, whatever it was."""
    return actions().filter(kind=kind, target=target).first()


def standing_action(kind: Target, target: str) -> ModerationAction | None:
    """Return the action that stands against a thing; None when nothing does."""
    found = newest(kind, target)
    return found if found is not None and found.act in UNDONE_BY else None


def objection_of(action: ModerationAction) -> Objection | None:
    """Return the appeal against an action of `actions()`, if there was one."""
    found: Objection | None = getattr(action, "objection", None)
    return found


def action_url(action: ModerationAction) -> str:
    """Return the path of the page of `action`."""
    return f"/moderation/{action.number}/"


# ------------------------------------------------------------------ refusals


def refusal(action: ModerationAction) -> ModeratedError:
    """Return the refusal that `action`, which stands, is the cause of."""
    page = f"{settings.SITE_URL}{action_url(action)}"
    words = f"{action.name} was {PAST[Act(action.act)]} on {action.created_at:%Y-%m-%d}"
    return _ERRORS[action.act](
        f"{words}: {action.reason}",
        # RFC 7725, section 4: `blocked-by` names who blocks; why is on the action's page.
        links=f'<{settings.SITE_URL}/>; rel="blocked-by", <{page}>; rel="describedby"',
        action=action.number,
        kind=action.kind,
        name=action.name,
        act=action.act,
        category=action.category,
        reason=action.reason,
        acted_at=timestamp(action.created_at),
        url=page,
        bundle_url=f"{page}moderation.sigstore.json",
        entry=action.entry_id,
        log=ledger.log_origin(action.entry),
        index=action.entry.index,
        statement=envelope_of(action.entry).to_dict(),
    )


def stop_of(row: Row) -> ModerationAction | None:
    """Return the action that stands against `row`; None, without a query, when nothing does."""
    if row.standing == Standing.GOOD:
        return None
    action = standing_action(_KINDS[type(row)], str(row.pk))
    if action is None:
        raise AssertionError("the database lets nothing stand without an action")
    return action


def _refusal_of(row: Row) -> ModeratedError:
    action = stop_of(row)
    if action is None:
        raise AssertionError("who stands well is not refused")
    return refusal(action)


def need_up(row: Row | None) -> None:
    """Raise TakenDownError when `row` is taken down; costs nothing otherwise."""
    if row is not None and row.standing == Standing.TAKEN_DOWN:
        raise _refusal_of(row)


def need_good(*rows: Row | None) -> None:
    """Raise TakenDownError or HiddenError when moderators let one of `rows` not be given out."""
    for row in rows:
        if row is not None and row.standing != Standing.GOOD:
            raise _refusal_of(row)


def need_tensors(execution_id: object) -> None:
    """Raise TakenDownError or HiddenError when the tensors of this execution are not given out."""
    action = standing_action(Target.EXECUTION, str(execution_id))
    if action is not None:
        raise refusal(action)


def need_content(revision_id: str) -> None:
    """Raise as `need_good` for the first file of a revision that moderators stopped."""
    rows = RevisionFile.objects.filter(revision=revision_id).exclude(blob__standing="")
    stopped = rows.select_related("blob").first()
    if stopped is not None:
        need_good(stopped.blob)


def card_text(revision: Revision) -> str:
    """Return the text of a card; `""` where moderators stopped the file that it is in."""
    card = RevisionFile.objects.filter(revision=revision.pk, path=CARD)
    return "" if card.exclude(blob__standing="").exists() else revision.card_body


def need_run(revision_id: str, caller_id: int | None) -> None:
    """Raise when moderators let a queued execution not run: its model, release, files or caller.

    One query while nothing is stopped.
    """
    release = Release.objects.filter(revision=OuterRef("pk"))
    files = RevisionFile.objects.filter(revision=OuterRef("pk")).exclude(blob__standing="")
    caller = Owner.objects.filter(user_id=caller_id or 0, standing=Standing.SUSPENDED)
    stopped = (
        Revision.objects.filter(pk=revision_id)
        .filter(
            ~Q(model__standing="")
            | Exists(release.exclude(standing=""))
            | Exists(files)
            | Exists(caller)
        )
        .select_related("model", "release")
        .first()
    )
    if stopped is not None:
        need_good(stopped.model, getattr(stopped, "release", None), caller.first())
        need_content(revision_id)


def need_active(user: object) -> None:
    """Raise SuspendedError when the account `user` is suspended."""
    if isinstance(user, AbstractBaseUser):
        suspended = Owner.objects.filter(user_id=user.pk, standing=Standing.SUSPENDED).first()
        if suspended is not None:
            raise _refusal_of(suspended)


def suspension_of(key: Key) -> ModerationAction | None:
    """Return the action that ended `key`; None where its owner did, or nobody."""
    return standing_action(Target.KEY, key.pk)
