"""What the reader may do, for pages that show a way to it."""

from __future__ import annotations

from typing import Any

from django import template

from registry.choices import Action
from registry.models import Model, Owner
from registry.rights import can

register = template.Library()


@register.simple_tag(takes_context=True)
def may(context: dict[str, Any], action: str, obj: Owner | Model) -> bool:
    """Tell whether the reader may do `action` to `obj`."""
    request = context.get("request")
    return request is not None and can(request.user, Action(action), obj)
