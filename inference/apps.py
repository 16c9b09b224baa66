from __future__ import annotations

from functools import partial

from django.apps import AppConfig
from django.db import transaction


class InferenceConfig(AppConfig):
    """The application, as Django knows it."""

    name = "inference"

    def ready(self) -> None:
        """Hear of new revisions: each is inspected before it can be signed."""
        from registry.signals import revision_committed

        revision_committed.connect(_on_revision, dispatch_uid="inference.inspection")


def _on_revision(**_: object) -> None:
    from inference.tasks import wake_inspection

    transaction.on_commit(partial(wake_inspection))
