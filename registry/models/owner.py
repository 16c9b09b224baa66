"""Who may own models: people and organisations share one space of names."""

from __future__ import annotations

from django.conf import settings
from django.db import models as db  # an owner has `models`, which mypy would find instead
from django.db.models.functions import Lower

from registry.choices import OwnerKind, Standing


class Owner(db.Model):
    """A name in addresses. A person's owner is made with the account and never renamed."""

    name = db.CharField(max_length=96)
    kind = db.CharField(max_length=16, choices=OwnerKind)
    user = db.OneToOneField(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=db.PROTECT)
    title = db.CharField(max_length=80, blank=True, help_text="the name in full")
    created_at = db.DateTimeField(auto_now_add=True)
    deleted_at = db.DateTimeField(
        null=True, blank=True, help_text="a tombstone: the name is never given out again"
    )
    standing = db.CharField(
        max_length=16, choices=Standing, blank=True, default="", db_default="", editable=False
    )

    class Meta:
        constraints = (db.UniqueConstraint(Lower("name"), name="owner_name_unique"),)

    def __str__(self) -> str:
        return self.name


class ReservedName(db.Model):
    """A name that was given out once and is never given out again (owner, or owner/model)."""

    name = db.CharField(max_length=200, unique=True)
    reason = db.CharField(max_length=200)
    created_at = db.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name
