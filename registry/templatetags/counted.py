"""The counters beside a model or a release, with what they mean."""

from __future__ import annotations

from typing import Any

from django import template

from registry import counted as counters
from registry.models import Model, Release

register = template.Library()


@register.inclusion_tag("registry/counted.html")
def counted(of: Model | Release) -> dict[str, Any]:
    """Show the sums since the first day, and for a release (one query) those of the last days."""
    if isinstance(of, Release):
        return {"counts": counters.of_release(of), "days": counters.DAYS}
    return {"counts": counters.of_model(of)}
