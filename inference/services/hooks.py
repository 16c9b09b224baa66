"""A person's webhooks: make, find, delete; messages by hand. The secret leaves at creation, once.

Each change commits with its audit row, or not at all. The audit says which host, never the URL:
people put tokens into URLs.
"""

from __future__ import annotations

import uuid
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
from registry.rights import Caller
from registry.services import audit

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


def create(user: AbstractBaseUser, url: str) -> Made:
    """Make a webhook of `user` for `url`.

    Raises:
        WebhookAddressError: no webhook may go there.
        TooManyWebhooksError: they have `MAX_HOOKS` already.
    """
    place = parse_url(url, rules())
    key, pk = make_key(), uuid7()
    with transaction.atomic():
        # One at a time for an account, so that two requests together make no hook too many.
        get_user_model().objects.select_for_update().get(pk=user.pk)
        if hooks_of(user).count() >= MAX_HOOKS:
            raise TooManyWebhooksError(
                f"An account has at most {MAX_HOOKS} webhooks: delete one first.", limit=MAX_HOOKS
            )
        sealed = seal(key, about=pk.bytes)
        hook = Hook.objects.create(pk=pk, owner_id=user.pk, url=url, secret=sealed)
        audit.note(user, "webhook.create", str(pk), host=place.host)
    return Made(hook=hook, secret=secret_text(key))


def hooks_of(user: Caller) -> QuerySet[Hook]:
    """Return the webhooks of `user`, newest first."""
    if user is None or not user.is_authenticated:
        return Hook.objects.none()
    return Hook.objects.filter(owner_id=user.pk, deleted_at__isnull=True).order_by("-id")


def find_hook(hook_id: uuid.UUID | str, user: Caller) -> Hook:
    """Return a webhook of `user`.

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
        find_hook(hook_id, user)
        Hook.objects.filter(pk=hook_id).update(url="", secret=b"", deleted_at=Now())
        Delivery.objects.filter(hook_id=hook_id).delete()
        audit.note(user, "webhook.delete", str(hook_id))


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
