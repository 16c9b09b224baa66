"""Content by SHA-256, and the uploads that bring it."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from registry.choices import Standing, UploadState


class Blob(models.Model):
    """Bytes in the blob storage under their SHA-256; a row means that they were hashed here."""

    sha256 = models.CharField(primary_key=True, max_length=64)
    size = models.BigIntegerField()
    git_sha1 = models.CharField(max_length=40)
    kind = models.CharField(
        max_length=16, blank=True, help_text="what it was taken for when a revision first had it"
    )
    standing = models.CharField(
        max_length=16, choices=Standing, blank=True, default="", db_default="", editable=False
    )
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.sha256


class Upload(models.Model):
    """A declared file that comes in parts: any order, in parallel, resumable from any device."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    owner = models.ForeignKey(
        "registry.Owner",  # by its name: mypy must read owners after models
        on_delete=models.CASCADE,
        related_name="+",
        help_text="whose quota it counts against",
    )
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField()
    part_size = models.BigIntegerField()
    multipart = models.CharField(
        max_length=1024, blank=True, help_text="the bucket's name for an upload that goes there"
    )
    state = models.CharField(max_length=16, choices=UploadState, default=UploadState.OPEN)
    error = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    touched_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = (
            models.Index(fields=("user", "sha256"), name="upload_of_user"),
            models.Index(
                fields=("owner",),
                condition=models.Q(state__in=(UploadState.OPEN, UploadState.JOINING)),
                name="upload_unfinished",
            ),
        )

    def __str__(self) -> str:
        return str(self.id)


class UploadPart(models.Model):
    """One part that has arrived whole: number `number` of the upload, from 0."""

    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="parts")
    number = models.IntegerField()
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("upload", "number"), name="upload_part_unique"),
        )

    def __str__(self) -> str:
        return f"{self.upload_id}/{self.number}"


class Holding(models.Model):
    """A user has brought or may use this content: a digest alone is not a right to the bytes."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    blob = models.ForeignKey(Blob, on_delete=models.CASCADE)
    created_at = models.DateTimeField(auto_now_add=True)
    touched_at = models.DateTimeField(auto_now=True, db_index=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "blob"), name="holding_unique"),)

    def __str__(self) -> str:
        return f"{self.user_id} {self.blob_id}"
