"""What the registry tells webhooks: which changes, whom, and in which words.

A message is made from the audit row of a change and is written in the transaction of both
(`registry.signals.changed`): before its COMMIT POINT there is none, after it the message is
durable, and what rolls back takes its message along. Signing, sending, retries and the guard
against addresses in somebody's network are those of all webhooks (`inference.services.deliveries`).

A watch is its owner's, not its maker's: every admin sees and ends it, and it goes on when its maker
leaves. A model that changes hands is told of to its old owner for the last time as it goes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Q, QuerySet

from assay.statements import timestamp
from registry import members, selectors
from registry.choices import Action
from registry.errors import InvalidInputError
from registry.models import AuditEvent, Model, Owner, Watch
from registry.rights import Caller, can, need
from registry.services import audit

EVENTS = {
    "release.publish": "A release was published.",
    "release.yank": "A release was withdrawn.",
    "alias.move": "An alias was made, or moved to another release.",
    "alias.protect": "An alias was protected.",
    "alias.unprotect": "An alias is protected no more.",
    "revision.commit": "A revision was committed.",
    "revision.inspect": "The inspection of a revision ended.",
    "model.create": "A model was made.",
    "model.visibility": "Who may know of a model, or have its files, was changed.",
    "model.delete": "A model without releases was deleted.",
    "model.arrive": "A model came from another owner.",
    "transfer.offer": "A model was offered to another owner.",
    "transfer.accept": "A model went to another owner.",
    "transfer.decline": "An offered model was not taken.",
    "transfer.cancel": "An offer was taken back.",
    "access.ask": "Somebody asked for the files of a gated model.",
    "access.approve": "A request for files was approved.",
    "access.decline": "A request for files was declined.",
    "access.withdraw": "A request for files was taken back.",
    "key.register": "A signing key was added.",
    "key.rotate": "A signing key took the place of another.",
    "key.revoke": "A signing key was revoked.",
    "member.invite": "Somebody was invited.",
    "member.accept": "Somebody became a member.",
    "member.decline": "Somebody declined an invitation.",
    "member.role": "A member has another role.",
    "member.remove": "A member was removed.",
    "member.leave": "A member left.",
    "trusted.add": "A build is trusted to publish.",
    "trusted.remove": "A build is trusted no more.",
    "moderation.hide": "Moderators hid something of the owner's.",
    "moderation.takedown": "Moderators took something of the owner's down.",
    "moderation.suspend": "Moderators suspended the owner, or ended one of its keys.",
    "moderation.restore": "Moderators brought something back.",
    "moderation.reinstate": "Moderators reinstated the owner.",
}
GROUPS = tuple(dict.fromkeys(event.partition(".")[0] for event in EVENTS))


def watch(user: AbstractBaseUser, about: Owner | Model, events: Iterable[str] = ()) -> Watch:
    """Write that `about` wants to be told of `events`, in the caller's transaction.

    Raises:
        NotAllowedError: the caller may not change its settings.
        InvalidInputError: no such event.
    """
    need(user, Action.SETTINGS, about)
    wanted = sorted(set(events))
    unknown = [event for event in wanted if event not in EVENTS and event not in GROUPS]
    if unknown:
        raise InvalidInputError(
            f"'{unknown[0][:40]}' is told of to nobody. Events are {', '.join(EVENTS)}, or the "
            "first words of them.",
            field="events",
        )
    model = about if isinstance(about, Model) else None
    owner = about.owner if isinstance(about, Model) else about
    row = Watch.objects.create(owner=owner, model=model, events=wanted, created_by_id=user.pk)
    audit.note(user, "webhook.watch", str(row), about=about, events=wanted)
    return row


def find_about(user: Caller, *, owner: str = "", model: str = "") -> Owner | Model:
    """Return what a watch is, or shall be, about; who may not change its settings is refused.

    Raises:
        InvalidInputError: both, or neither.
        UnknownModelError, UnknownOwnerError, NotAllowedError: as their names say.
    """
    if bool(owner) == bool(model):
        raise InvalidInputError("Name an owner or a model.", field="owner")
    found = selectors.find_model(model, user) if model else members.existing_owner(owner)
    need(user, Action.SETTINGS, found)
    return found


def watches_of(about: Owner | Model) -> QuerySet[Watch]:
    """Return the watches of an owner, those of its models too, or of one model."""
    if isinstance(about, Model):
        return Watch.objects.filter(owner_id=about.owner_id, model=about)
    return Watch.objects.filter(owner=about)


def may_manage(user: Caller, row: Watch) -> bool:
    """Tell whether `user` may change the settings of what `row` is about."""
    model = row.model
    # A model that went to another owner is that one's; the watch, which is told nothing, is not.
    own = model is None or model.owner_id != row.owner_id
    return can(user, Action.SETTINGS, row.owner if own or model is None else model)


def watching(event: AuditEvent) -> QuerySet[Watch]:
    """Return who wants to be told of `event`."""
    if event.action not in EVENTS or event.owner_id is None:
        return Watch.objects.none()
    names = [event.action, event.action.partition(".")[0]]
    return Watch.objects.filter(
        Q(model=None) | Q(model_id=event.model_id),
        Q(events=[]) | Q(events__overlap=names),
        owner_id=event.owner_id,
        owner__deleted_at=None,
    )


def message(event: AuditEvent) -> dict[str, Any]:
    """Return the body of the message about `event`."""
    model = event.model.full_name if event.model else None
    owner = event.owner.name if event.owner else None
    return {
        "type": event.action,
        "timestamp": timestamp(event.created_at),
        "data": {
            "event": event.pk,
            "owner": owner,
            "model": model,
            "by": event.user.get_username() if event.user else None,
            "target": event.target,
            "detail": event.data,
            "page_url": f"{settings.SITE_URL}/{f'models/{model}' if model else owner}/",
        },
    }
