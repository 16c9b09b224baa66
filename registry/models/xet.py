"""What the Xet bridge remembers: pieces that came, and where in stored content they are."""

from __future__ import annotations

import uuid

from django.db import models

from registry.models.blob import Blob
from registry.models.model import Model


class XetSpace(models.Model):
    """The address of a model for Xet uploads. Clients remember what they sent under an epoch."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    model = models.OneToOneField(Model, on_delete=models.CASCADE, related_name="xet_space")
    epoch = models.IntegerField(default=1)

    def __str__(self) -> str:
        return f"{self.id}/{self.epoch}"


class Xorb(models.Model):
    """A piece by the name that its client gave it: the lengths of its chunks, in order.

    `lengths` is one little-endian u32 per chunk. The raw bytes are the file `spool` until every
    chunk is found through the ranges; then `spool` is empty.
    """

    space = models.ForeignKey(XetSpace, on_delete=models.CASCADE, related_name="xorbs")
    hash = models.CharField(max_length=64)
    lengths = models.BinaryField()
    size = models.BigIntegerField()
    spool = models.CharField(max_length=100, blank=True)
    user_id = models.BigIntegerField(help_text="whose quota the waiting bytes count against")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("space", "hash"), name="xorb_unique"),)
        indexes = (
            models.Index(
                fields=("created_at",), condition=~models.Q(spool=""), name="xorb_waiting"
            ),
            models.Index(
                fields=("user_id",), condition=~models.Q(spool=""), name="xorb_waiting_of"
            ),
        )

    def __str__(self) -> str:
        return self.hash


class XorbRange(models.Model):
    """The chunks from `first` to below `end` of a xorb stand in `blob` from byte `offset` on."""

    xorb = models.ForeignKey(Xorb, on_delete=models.CASCADE, related_name="ranges")
    first = models.IntegerField()
    end = models.IntegerField()
    blob = models.ForeignKey(Blob, on_delete=models.CASCADE, related_name="+")
    offset = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.first}-{self.end}"
