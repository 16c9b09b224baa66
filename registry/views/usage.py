"""What the reader and their organisations have, beside what they may have."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser

from registry.choices import Action
from registry.members import owners_for
from registry.services import quotas


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One owner: name, and (word, used, limit, whether these are bytes)."""

    owner: str
    rows: tuple[tuple[str, int, int, bool], ...]


def usage_lines(user: AbstractBaseUser) -> list[Line]:
    """Return a line for each owner whose account the reader may upload to."""
    found = quotas.usages_of(owners_for(user, Action.WRITE))
    return [
        Line(
            owner=owner.name,
            rows=(
                ("Stored", usage.stored, limits.bytes, True),
                ("Announced by open uploads", usage.coming, limits.bytes, True),
                ("Models", usage.models, limits.models, False),
                ("Uploads at a time", usage.uploads, limits.uploads, False),
            ),
        )
        for owner, usage, limits in found
    ]
