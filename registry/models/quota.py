"""What an owner's content costs, and how much of it an owner may have."""

from __future__ import annotations

from django.db import models

from registry.models.blob import Blob
from registry.models.owner import Owner


class Quota(models.Model):
    """What one owner may have, where that differs from the settings `QUOTA_*`; null: as they say.

    Moderators write it, in the admin.
    """

    owner = models.OneToOneField(Owner, on_delete=models.PROTECT, related_name="quota")
    max_bytes = models.BigIntegerField(null=True, blank=True, help_text="stored bytes")
    max_models = models.IntegerField(null=True, blank=True, help_text="models")
    max_uploads = models.IntegerField(null=True, blank=True, help_text="uploads at a time")

    def __str__(self) -> str:
        return str(self.owner)


class Charge(models.Model):
    """An owner's account has this content on it, once, however many files name it.

    It is there from the first upload or commit on. The collector takes it away when no revision of
    the owner's models names the content and nobody has asked for it for as long as the grace lasts.
    """

    owner = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="charges")
    blob = models.ForeignKey(Blob, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    touched_at = models.DateTimeField(auto_now=True, db_index=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("owner", "blob"), name="charge_unique"),)

    def __str__(self) -> str:
        return f"{self.owner_id} {self.blob_id}"
