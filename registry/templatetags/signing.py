"""What pages say beside a release: that its signer is another one, and which run published it."""

from __future__ import annotations

from typing import Any

from django import template

from registry import signers
from registry.models import Release

register = template.Library()


@register.inclusion_tag("registry/signer_change.html")
def signer_change(release: Release | None) -> dict[str, Any]:
    """Mark a release whose signer is not the one of the release before."""
    changed = signers.change_at(release) if release else None
    return {"release": release, "changed": changed}


@register.inclusion_tag("registry/release_run.html")
def release_run(release: Release) -> dict[str, Any]:
    """Tell which run of a trusted publisher published a release."""
    published = getattr(release, "ci", None)
    return {"run": published.run if published else None}
