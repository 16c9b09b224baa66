"""What a search looks into, and the counters beside it.

The database keeps `SearchDocument` itself: triggers (migration 0009) write it in the transaction
that moves a head, publishes or withdraws a release, ends an inspection, renames or deletes. So no
program can forget it. `registry.services.search.rebuild` makes every row again.

Counters are rows that are added up. An event inserts a row of its own, or none at all, and one task
at a time folds what is new into the rows below: no row is updated once for each event.
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models

from registry.models.model import Model
from registry.models.release import Release
from registry.models.revision import Revision


class SearchDocument(models.Model):
    """One model as it is found: by its newest release, else by its newest inspected revision.

    `names` has the words of owner and name, `document` these (weight A) with task, tags, library,
    licence, language (B), operators, inputs, outputs (C) and the card's text (D). `facets` are
    `kind:value` in lower case, as `registry.finding` lists the kinds; `size` is in bytes.
    """

    model = models.OneToOneField(
        Model, primary_key=True, on_delete=models.CASCADE, related_name="search"
    )
    revision = models.ForeignKey(
        Revision, null=True, db_index=False, on_delete=models.CASCADE, related_name="+"
    )
    release = models.ForeignKey(
        Release, null=True, db_index=False, on_delete=models.CASCADE, related_name="+"
    )
    full_name = models.CharField(max_length=200, help_text="owner/name in lower case")
    updated_at = models.DateTimeField(help_text="the model's own")
    size = models.BigIntegerField(default=0)
    facets = ArrayField(models.TextField(), default=list)
    operators = ArrayField(models.TextField(), default=list)
    names = SearchVectorField()
    document = SearchVectorField()

    class Meta:
        indexes = (
            GinIndex(fields=("names", "document", "facets", "operators"), name="search_words"),
            models.Index(fields=("full_name",), name="search_name"),
            models.Index(fields=("-updated_at", "model"), name="search_newest"),
        )

    def __str__(self) -> str:
        return self.full_name


class ModelTotal(models.Model):
    """The counters of a model since its first day; a row for each model."""

    model = models.OneToOneField(
        Model, primary_key=True, on_delete=models.CASCADE, related_name="total"
    )
    executions = models.BigIntegerField(default=0, help_text="entries of the ledger")
    unique_runs = models.BigIntegerField(default=0, help_text="of different inputs")
    downloads = models.BigIntegerField(default=0)

    class Meta:
        indexes = (models.Index(fields=("-executions", "model"), name="total_executions"),)

    def __str__(self) -> str:
        return f"{self.model_id}: {self.executions}"


class ReleaseDay(models.Model):
    """The counters of one release on one day (UTC)."""

    release = models.ForeignKey(
        Release, db_index=False, on_delete=models.CASCADE, related_name="days"
    )
    day = models.DateField()
    executions = models.BigIntegerField(default=0)
    unique_runs = models.BigIntegerField(default=0)
    downloads = models.BigIntegerField(default=0)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("release", "day"), name="release_day_unique"),
        )

    def __str__(self) -> str:
        return f"{self.release_id} {self.day}"


class DownloadMark(models.Model):
    """That a release was fetched from one address on one day, once it has been counted or not yet.

    `key` is a digest of day, release and address under the day's `DaySalt`. Mark and salt are
    deleted after the day: then nobody, ourselves included, can tell which address it was.
    """

    key = models.CharField(primary_key=True, max_length=64)
    release = models.ForeignKey(Release, db_index=False, on_delete=models.CASCADE, related_name="+")
    day = models.DateField(db_index=True)
    counted = models.BooleanField(default=False)

    class Meta:
        indexes = (
            models.Index(
                fields=("release",), condition=models.Q(counted=False), name="download_new"
            ),
        )

    def __str__(self) -> str:
        return f"{self.release_id} {self.day}"


class DaySalt(models.Model):
    """32 random bytes that make one day's `DownloadMark` keys; deleted after the day."""

    day = models.DateField(primary_key=True)
    salt = models.BinaryField()

    def __str__(self) -> str:
        return str(self.day)


class CountedLog(models.Model):
    """How far the executions of one log have been counted: `size` entries from its beginning."""

    log = models.OneToOneField(
        "ledger.Log", primary_key=True, on_delete=models.CASCADE, related_name="+"
    )
    size = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.log_id}: {self.size}"
