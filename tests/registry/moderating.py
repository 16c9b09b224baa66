"""Moderators of the tests: carol moderates, dave decides appeals; and every kind of thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission, User

from registry.choices import Act, Category, Target
from registry.models import ModerationAction, Release
from registry.services import moderation
from registry.services.moderation import Wanted
from tests.people import PASSWORD
from tests.registry import executing

REASON = "It was uploaded without the consent of its author."


def make_moderator(name: str = "carol") -> User:
    """Make an account of staff that may moderate and nothing else."""
    user = get_user_model().objects.create_user(name, f"{name}@example.org", PASSWORD)
    user.is_staff = True
    user.save()
    user.user_permissions.add(
        Permission.objects.get(codename="moderate", content_type__app_label="registry")
    )
    return get_user_model().objects.get(pk=user.pk)  # permissions are remembered by the object


@dataclass(frozen=True, slots=True, kw_only=True)
class Things:
    """One thing of each kind, by the name that moderators write; all are alice's."""

    names: dict[Target, str]

    def wanted(self, act: Act, kind: Target, **changes: Any) -> Wanted:
        """Return the wish to do `act` to the thing of this kind, as it stands now."""
        name = self.names[kind]
        newest = ModerationAction.objects.filter(kind=kind, name=name).first()
        fields: dict[str, Any] = {
            "act": act,
            "kind": kind,
            "name": name,
            "category": Category.COPYRIGHT,
            "reason": f"{REASON} ({act} {kind}, after {newest.number if newest else 0})",
            "typed": name,
            "seen": newest.number if newest else 0,
        }
        return Wanted(**{**fields, **changes})

    def do(self, moderator: User, act: Act, kind: Target, **changes: Any) -> ModerationAction:
        """Let `moderator` do it."""
        return moderation.act(moderator, self.wanted(act, kind, **changes))


def things_of(release: Release) -> Things:
    """Return a thing of each kind around `release`."""
    run = executing.run(release.revision)
    return Things(
        names={
            Target.MODEL: release.model.full_name,
            Target.RELEASE: f"{release.model.full_name}@{release.version}",
            Target.FILE: release.revision.files.get(path="model.onnx").blob_id,
            Target.OWNER: release.model.owner.name,
            Target.EXECUTION: str(run.id),
            Target.KEY: release.key_id,
        }
    )
