"""What the pages about an inspection ask."""

from __future__ import annotations

from django import template

from registry.models import Appeal, Revision

register = template.Library()


@register.filter
def newest_appeal(revision: Revision) -> Appeal | None:
    """Return the newest appeal against what the inspection said, or None."""
    return revision.appeals.order_by("-created_at", "-pk").first()
