"""What pages say beside a thing that moderators stopped. Nothing is asked while nothing stands."""

from __future__ import annotations

from typing import Any

from django import template

from registry import moderated
from registry.choices import Act, Target
from registry.models import Key, Model, ModerationAction, Owner, Release

register = template.Library()
_KINDS = {Model: Target.MODEL, Release: Target.RELEASE, Owner: Target.OWNER}
_DID = {Act.HIDE: "hid", Act.TAKEDOWN: "took down", Act.SUSPEND: "suspended"}


@register.inclusion_tag("moderation/banner.html")
def moderated_banner(row: Model | Release | Owner | None) -> dict[str, Any]:
    """Say that moderators hid or suspended this, why, and where that is signed."""
    if row is None or not row.standing:
        return {}
    action = moderated.standing_action(_KINDS[type(row)], str(row.pk))
    return {"action": action, "did": _DID[Act(action.act)] if action else ""}


@register.simple_tag
def suspension(key: Key) -> ModerationAction | None:
    """Return the action of moderators that ended a key; None where its owner did."""
    return moderated.suspension_of(key) if key.state == "revoked" else None


@register.filter
def past(action: ModerationAction) -> str:
    """Return what was done, as a participle: `taken down`."""
    return moderated.PAST[Act(action.act)]
