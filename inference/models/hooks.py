"""Webhooks: where a person wants to be told of what ends, and every message to be delivered there.

A delivery is written in the transaction of what it tells of (`services.outbox`), and delivered
after its commit, at least once. Its `id` is the message's `webhook-id`, the same in each attempt.
`lease` fences the result of an attempt; `due_at` says when the next one may begin.

A hook is never deleted, because executions name theirs: it loses its address, its secret and its
deliveries instead.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from inference.choices import DeliveryState
from inference.ids import uuid7

MAX_URL = 2_000


class Hook(models.Model):
    """One address that its owner wants to be told at. `secret` is encrypted, see `sealed`."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="hooks"
    )
    watch = models.OneToOneField(
        "registry.Watch",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="hook",
        help_text="whose changes it tells of; empty: what `owner` names it for",
    )
    url = models.CharField(max_length=MAX_URL, blank=True)
    secret = models.BinaryField(help_text="encrypted with a key made from SECRET_KEY")
    created_at = models.DateTimeField(auto_now_add=True)
    failures = models.SmallIntegerField(default=0, help_text="attempts since its server answered")
    retry_at = models.DateTimeField(null=True, blank=True, help_text="nothing is sent before")
    disabled_at = models.DateTimeField(null=True, blank=True, help_text="its server said 410 Gone")
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(deleted_at__isnull=True) | Q(url="", secret=b""),
                name="hook_deleted_keeps_nothing",
            ),
        )

    def __str__(self) -> str:
        return str(self.id)


class Delivery(models.Model):
    """One message for one hook: `event` says what kind, `about` which thing, `body` the rest."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    hook = models.ForeignKey(
        Hook, db_index=False, on_delete=models.PROTECT, related_name="deliveries"
    )
    event = models.CharField(max_length=64)
    about = models.CharField(max_length=64, blank=True, help_text="told of once; empty: any number")
    body = models.JSONField()
    state = models.CharField(max_length=16, choices=DeliveryState, default=DeliveryState.WAITING)
    created_at = models.DateTimeField(auto_now_add=True)
    due_at = models.DateTimeField()
    give_up_at = models.DateTimeField()
    attempts = models.SmallIntegerField(default=0)
    lease = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    last_attempt_at = models.DateTimeField(null=True, blank=True)
    last_status = models.SmallIntegerField(null=True, blank=True, help_text="what HTTP said")
    last_error = models.CharField(max_length=200, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = (
            models.UniqueConstraint(
                fields=("hook", "event", "about"), condition=~Q(about=""), name="delivery_once"
            ),
            models.CheckConstraint(
                condition=Q(state=DeliveryState.WAITING, ended_at__isnull=True)
                | (~Q(state=DeliveryState.WAITING) & Q(ended_at__isnull=False)),
                name="delivery_ended_has_end",
            ),
        )
        indexes = (
            models.Index(
                fields=("due_at",), condition=Q(state=DeliveryState.WAITING), name="delivery_due"
            ),
            models.Index(fields=("hook", "-id"), name="delivery_of_hook"),
            models.Index(
                fields=("ended_at",),
                condition=~Q(state=DeliveryState.WAITING),
                name="delivery_ended",
            ),
        )

    def __str__(self) -> str:
        return str(self.id)
