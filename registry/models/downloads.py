"""How often files of a model were fetched: once per file and address per day."""

from __future__ import annotations

from django.db import models

from registry.models.model import Model


class DownloadCount(models.Model):
    """The downloads of one model on one day (UTC)."""

    model = models.ForeignKey(Model, on_delete=models.CASCADE, related_name="download_counts")
    day = models.DateField()
    count = models.BigIntegerField(default=0)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("model", "day"), name="download_count_unique"),
        )

    def __str__(self) -> str:
        return f"{self.model_id} {self.day}"


class DownloadSeen(models.Model):
    """What was counted today. `key` is a keyed digest: no address of a person is kept."""

    key = models.CharField(primary_key=True, max_length=64)
    day = models.DateField(db_index=True)

    def __str__(self) -> str:
        return self.key
