"""Aliases: movable names for releases, and every move that they made."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower

from registry.models.key import Key
from registry.models.model import Model
from registry.models.release import Release


class Alias(models.Model):
    """A movable name for a release (`production`): it stands where its newest move put it.

    Neither it nor a move is ever deleted: the statement of a move cannot say "nothing".
    """

    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="aliases")
    name = models.CharField(max_length=96)
    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="aliases")
    protected = models.BooleanField(
        default=False, help_text="moved only by who may change the settings"
    )

    class Meta:
        constraints = (models.UniqueConstraint("model", Lower("name"), name="alias_name_unique"),)
        verbose_name_plural = "aliases"

    def __str__(self) -> str:
        return self.name


class AliasMove(models.Model):
    """One signed move of an alias, from `previous` (None: it was new) to `release`.

    `note` is what the mover wrote beside it; nobody signed that.
    """

    alias = models.ForeignKey(Alias, on_delete=models.PROTECT, related_name="moves")
    number = models.IntegerField(help_text="counts from 1 for each alias")
    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="+")
    previous = models.ForeignKey(
        Release, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    key = models.ForeignKey(Key, on_delete=models.PROTECT, related_name="+")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    entry = models.OneToOneField("ledger.Entry", on_delete=models.PROTECT, related_name="+")
    note = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("alias", "number"), name="aliasmove_number_unique"),
        )

    def __str__(self) -> str:
        return f"{self.alias_id} to {self.release_id}"
