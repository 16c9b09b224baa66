from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig
from django.conf import settings
from django.db import transaction
from django.db.models.signals import post_save

from inference import failpoints

if TYPE_CHECKING:
    # Models can be imported when the applications are ready, and not before.
    from registry.models import AuditEvent


class InferenceConfig(AppConfig):
    """The application, as Django knows it."""

    name = "inference"

    def ready(self) -> None:
        """Hear of new revisions, which are inspected, and of new releases, which are warmed up.

        Webhooks tell of changes. The registry asks here which executions a card's results name.
        """
        from inference.services import belongings
        from inference.services.ran import ran
        from registry.belongings import add_keeper
        from registry.executions import set_source
        from registry.signals import changed, revision_committed

        set_source(ran)
        add_keeper("inference", belongings.KEEPER)
        failpoints.arm(settings.FAILPOINT)
        revision_committed.connect(_on_revision, dispatch_uid="inference.inspection")
        changed.connect(_on_change, dispatch_uid="inference.outbox")
        post_save.connect(_on_release, sender="registry.Release", dispatch_uid="inference.warming")


def _on_revision(**_: object) -> None:
    from inference.tasks import wake_inspection

    transaction.on_commit(partial(wake_inspection))


def _on_change(*, event: AuditEvent, **_: object) -> None:
    from inference.services.outbox import changed

    changed(event)


def _on_release(*, instance: Any, created: bool, **_: object) -> None:
    from inference.tasks import wake_warm_up

    if created:
        transaction.on_commit(partial(wake_warm_up, instance.revision_id))
