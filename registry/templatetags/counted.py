"""The counters beside a model or a release, with what they mean."""

from __future__ import annotations

from typing import Any

from django import template

from registry import counted as counters
from registry.models import Model, Release

register = template.Library()


@register.inclusion_tag("registry/counted.html")
def counted(of: Model | Release) -> dict[str, Any]:
    """Show the sums since the first day and of the last days; one query."""
    found = counters.of_release(of) if isinstance(of, Release) else counters.of_model(of)
    return {"counts": found, "days": counters.DAYS, "of": type(of).__name__.lower()}
