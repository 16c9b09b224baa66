"""The closed lists of the registry."""

from __future__ import annotations

from django.db import models


class OwnerKind(models.TextChoices):
    """A person, or several together."""

    USER = "user", "person"
    ORGANISATION = "organisation", "organisation"


class Visibility(models.TextChoices):
    """Who may know of a model."""

    PUBLIC = "public", "public"
    PRIVATE = "private", "private"


class UploadState(models.TextChoices):
    """Where an upload stands; `stored` and `failed` are final."""

    OPEN = "open", "waiting for parts"
    JOINING = "joining", "all parts are here and being checked"
    STORED = "stored", "stored"
    FAILED = "failed", "failed"


class RevisionState(models.TextChoices):
    """What the inspection said so far."""

    PENDING = "pending", "waiting for inspection"
    PASSED = "passed", "passed"
    FLAGGED = "flagged", "passed with remarks"
    FAILED = "failed", "failed"


class KeyRole(models.TextChoices):
    """What a key may sign."""

    PUBLISHER = "publisher", "publisher"
    EXECUTOR = "executor", "executor"
    AUDITOR = "auditor", "auditor"
    REGISTRY = "registry", "registry"


class KeyState(models.TextChoices):
    """Whether a key's new statements count."""

    REGISTERED = "registered", "registered"
    REVOKED = "revoked", "revoked"


class ClaimKind(models.TextChoices):
    """The three statements of a release."""

    MODEL_SIGNATURE = "oms", "model signature"
    RELEASE = "release", "release"
    CARD = "card", "card"


class TokenScope(models.TextChoices):
    """What a token may do."""

    READ = "read", "read"
    WRITE = "write", "read and write"


class RefKind(models.TextChoices):
    """What a name of a revision is; `main` is a branch without a row."""

    BRANCH = "branch", "branch"
    TAG = "tag", "tag"
