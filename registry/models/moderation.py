"""What moderators did, what readers reported, what owners objected to.

The standing of a model, release, file or owner is a column of its own row, written in the
transaction of the action; the database takes it only when the newest action says so (migration
0011). Actions are history: no program changes or deletes one.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models

from registry.choices import Act, Category, ObjectionState, ReportState, Target
from registry.models.owner import Owner


class ModerationAction(models.Model):
    """One action, with the `moderation` statement that the registry signed and logged for it.

    `target` finds the row (a primary key, a digest, an execution's id), `name` is what the
    statement's subject is called and `sha256` its digest. `owner` may object. `number` counts from
    1 without gaps: it is the address.
    """

    number = models.IntegerField(unique=True)
    act = models.CharField(max_length=16, choices=Act)
    kind = models.CharField(max_length=16, choices=Target)
    target = models.CharField(max_length=64)
    name = models.CharField(max_length=300)
    sha256 = models.CharField(max_length=64)
    owner = models.ForeignKey(
        Owner, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    category = models.CharField(max_length=32, choices=Category)
    reason = models.TextField(help_text="for everybody to read")
    moderator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    entry = models.OneToOneField("ledger.Entry", on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        permissions = (("moderate", "Can hide, take down, suspend, and undo that"),)
        indexes = (models.Index(fields=("kind", "target", "-number"), name="action_of_target"),)
        ordering = ("-number",)

    def __str__(self) -> str:
        return f"{self.number}: {self.act} {self.name}"


class Report(models.Model):
    """What a reader says is wrong with something.

    `origin` is a keyed digest of the sender's address, kept for a day to count by.
    """

    kind = models.CharField(max_length=16, choices=Target)
    target = models.CharField(max_length=64)
    name = models.CharField(max_length=300)
    category = models.CharField(max_length=32, choices=Category)
    text = models.TextField()
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    email = models.EmailField(blank=True, help_text="where the reader may be asked")
    origin = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=16, choices=ReportState, default=ReportState.WAITING)
    note = models.CharField(max_length=500, blank=True, help_text="why nothing was done")
    action = models.ForeignKey(
        ModerationAction,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="reports",
    )
    handled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    handled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = (
            models.Index(fields=("kind", "target", "state"), name="report_of_target"),
            models.Index(fields=("origin", "created_at"), name="report_origin"),
            models.Index(
                fields=("created_at",),
                condition=models.Q(state=ReportState.WAITING),
                name="report_waiting",
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Objection(models.Model):
    """The one appeal against an action: the owner's words, and another moderator's answer."""

    action = models.OneToOneField(
        ModerationAction, on_delete=models.PROTECT, related_name="objection"
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    text = models.TextField()
    state = models.CharField(max_length=16, choices=ObjectionState, default=ObjectionState.WAITING)
    answer = models.TextField(blank=True, help_text="for everybody to read")
    moderator = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    outcome = models.OneToOneField(
        ModerationAction, null=True, blank=True, on_delete=models.PROTECT, related_name="granted"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name, verbose_name_plural = "appeal against an action", "appeals against actions"
        constraints = (
            models.CheckConstraint(
                condition=models.Q(state=ObjectionState.GRANTED, outcome__isnull=False)
                | (~models.Q(state=ObjectionState.GRANTED) & models.Q(outcome__isnull=True)),
                name="objection_granted_has_outcome",
            ),
        )

    def __str__(self) -> str:
        return f"appeal against {self.action_id}"
