"""Webhooks: make, find, delete; messages by hand. The secret leaves at creation, once.

A person's own tell of the executions that name them. Those of an owner or a model tell of its
changes (`registry.services.webhooks`); they belong to whoever may change its settings.

Each change commits with its audit row, or not at all. The audit says which host, never the URL:
people put tokens into URLs.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from assay.statements import timestamp
from inference import outgoing
from inference.choices import DeliveryState
from inference.errors import TooManyWebhooksError, UnknownWebhookError, WebhookBusyError
from inference.ids import uuid7
from inference.models import Delivery, Hook
from inference.services.outbox import GIVE_UP
from inference.services.sealed import seal
from inference.webhooks.guard import Rules, parse_url
from inference.webhooks.signature import make_key, secret_text
from registry.models import Model, Owner
from registry.rights import Caller
from registry.services import audit, webhooks

MAX_HOOKS = 20
PAGE = 50
TEST = "webhook.test"
BY_HAND = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A new webhook and its secret, which is never shown again."""

    hook: Hook
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliveries:
    """Some deliveries, newest first; `next` is the cursor of the page after, "" at the end."""

    rows: list[Delivery]
    next: str


def rules() -> Rules:
    """Return where this site's webhooks may go."""
    return Rules(loopback=settings.WEBHOOK_LOOPBACK, high_ports=settings.WEBHOOK_HIGH_PORTS)


def create(
    user: AbstractBaseUser,
    url: str,
    *,
    about: Owner | Model | None = None,
    events: Iterable[str] = (),
) -> Made:
    """Make a webhook for `url`: one of `user`, or one that tells of `events` of `about`.

    Raises:
        WebhookAddressError: no webhook may go there.
        TooManyWebhooksError: they have `MAX_HOOKS` already.
        NotAllowedError, InvalidInputError: as `registry.services.webhooks.watch`.
    """
    place = parse_url(url, rules())
    key, pk = make_key(), uuid7()
    with transaction.atomic():
        _need_room(user, about)
        watch = None if about is None else webhooks.watch(user, about, events)
        sealed = seal(key, about=pk.bytes)
        hook = Hook.objects.create(pk=pk, owner_id=user.pk, watch=watch, url=url, secret=sealed)
        audit.note(user, "webhook.create", str(pk), about=about, host=place.host)
    return Made(hook=hook, secret=secret_text(key))


def _need_room(user: AbstractBaseUser, about: Owner | Model | None) -> None:
    """Refuse one hook too many; one at a time, so that two requests together make none."""
    if about is None:
        get_user_model().objects.select_for_update().get(pk=user.pk)
        count, who = hooks_of(user).count(), "An account"
    else:
        owner = about.owner if isinstance(about, Model) else about
        Owner.objects.select_for_update(no_key=True).get(pk=owner.pk)
        count, who = _there().filter(watch__owner=owner).count(), owner.name
    if count >= MAX_HOOKS:
        raise TooManyWebhooksError(
            f"{who} has at most {MAX_HOOKS} webhooks: delete one first.", limit=MAX_HOOKS
        )


def _there() -> QuerySet[Hook]:
    rows = Hook.objects.filter(deleted_at__isnull=True).order_by("-id")
    return rows.select_related("owner", "watch__owner", "watch__model__owner")


def hooks_of(user: Caller) -> QuerySet[Hook]:
    """Return the webhooks of `user` that tell of executions, newest first."""
    if user is None or not user.is_authenticated:
        return Hook.objects.none()
    return _there().filter(owner_id=user.pk, watch=None)


def hooks_about(about: Owner | Model) -> QuerySet[Hook]:
    """Return the webhooks that tell of changes to `about`, newest first.

    `about` comes from `registry.services.webhooks.find_about`, which asks who may see them.
    """
    return _there().filter(watch__in=webhooks.watches_of(about))


def manage_hook(hook_id: uuid.UUID, user: Caller) -> Hook:
    """Return a webhook of `user`, or of an owner or model whose settings they may change.

    Raises:
        UnknownWebhookError: there is none of this id that they may manage.
    """
    found = _there().filter(pk=hook_id).exclude(watch=None).first()
    if found is not None and found.watch is not None and webhooks.may_manage(user, found.watch):
        return found
    return find_hook(hook_id, user)


def find_hook(hook_id: uuid.UUID | str, user: Caller) -> Hook:
    """Return a webhook of `user` that an execution may name.

    Raises:
        UnknownWebhookError: they have none of this id.
    """
    try:
        pk = hook_id if isinstance(hook_id, uuid.UUID) else uuid.UUID(hook_id)
    except ValueError:
        pk = None
    found = None if pk is None else hooks_of(user).filter(pk=pk).first()
    if found is None:
        raise UnknownWebhookError("There is no such webhook of yours.", webhook=str(hook_id)[:64])
    return found


def delete(user: AbstractBaseUser, hook_id: uuid.UUID) -> None:
    """Forget a webhook's address, secret and deliveries; a message under way may still arrive.

    Raises:
        UnknownWebhookError: `user` has none of this id.
    """
    with transaction.atomic():
        watch = manage_hook(hook_id, user).watch
        gone = Hook.objects.filter(pk=hook_id)
        gone.update(url="", secret=b"", deleted_at=Now(), watch=None)
        Delivery.objects.filter(hook_id=hook_id).delete()
        about = None if watch is None else watch.owner
        if watch is not None:
            watch.delete()
        audit.note(user, "webhook.delete", str(hook_id), about=about)


# ------------------------------------------------------------------ messages


def deliveries(hook: Hook, *, state: str = "", cursor: str = "", size: int = PAGE) -> Deliveries:
    """Return a page of what was sent, or waits to be. A malformed cursor is the beginning."""
    rows = Delivery.objects.filter(hook=hook).order_by("-id")
    if state:
        rows = rows.filter(state=state)
    with suppress(ValueError):
        rows = rows.filter(id__lt=uuid.UUID(cursor))
    found = list(rows[: size + 1])
    more = len(found) > size
    return Deliveries(rows=found[:size], next=str(found[size - 1].pk) if more else "")


def send_test(hook: Hook) -> Delivery:
    """Queue a message that tells of nothing, to see whether it arrives.

    Raises:
        WebhookBusyError: the last one was asked for a moment ago.
    """
    now = timezone.now()
    with transaction.atomic():
        _one_by_hand(hook, Q(event=TEST, created_at__gt=now - BY_HAND))
        row = Delivery.objects.create(
            hook=hook,
            event=TEST,
            body={"type": TEST, "timestamp": timestamp(now), "data": {"webhook": str(hook.pk)}},
            due_at=now,
            give_up_at=now + GIVE_UP,
        )
        transaction.on_commit(outgoing.wake, robust=True)
    return row


def redeliver(hook: Hook, delivery_id: uuid.UUID) -> Delivery:
    """Queue a message again, with the same id; one that waits is tried at once.

    Raises:
        UnknownWebhookError: `hook` has no such delivery.
        WebhookBusyError: its last attempt was a moment ago.
    """
    now = timezone.now()
    with transaction.atomic():
        _one_by_hand(hook, Q(pk=delivery_id, last_attempt_at__gt=now - BY_HAND))
        rows = Delivery.objects.filter(pk=delivery_id, hook=hook)
        changed = rows.update(
            state=DeliveryState.WAITING,
            due_at=now,
            give_up_at=now + GIVE_UP,
            attempts=0,
            ended_at=None,
        )
        if not changed:
            raise UnknownWebhookError(
                "There is no such delivery of this webhook.", delivery=str(delivery_id)
            )
        transaction.on_commit(outgoing.wake, robust=True)
    return rows.get()


def _one_by_hand(hook: Hook, recent: Q) -> None:
    """Refuse what is asked for too often: this site is no engine for hitting others.

    Else the hook's server is tried at once, though it may have been away.
    """
    row = Hook.objects.select_for_update().get(pk=hook.pk)
    if Delivery.objects.filter(recent, hook=hook).exists():
        raise WebhookBusyError("This was asked for a moment ago: wait for ten seconds.")
    if row.retry_at is not None:
        Hook.objects.filter(pk=hook.pk).update(retry_at=None)
