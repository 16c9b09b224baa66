"""What a model's pages say of running it: nothing, unless the executor keeps it out."""

from __future__ import annotations

from typing import Any

from django import template

from inference import quarantine
from inference.errors import NotRunnableError
from inference.services.plan import signature_of
from registry.errors import RegistryError
from registry.models import Release

register = template.Library()


@register.inclusion_tag("inference/not_run.html")
def not_run(release: Release | None) -> dict[str, Any]:
    """Say why the executor does not run `release` at present, for its publisher above all."""
    if release is None or not quarantine.is_any():
        return {"notice": None}
    try:
        ref = signature_of(release.revision).ref
    except (NotRunnableError, RegistryError):
        return {"notice": None}  # it has no graph: its own pages say so
    return {"notice": quarantine.notice_of(ref)}
