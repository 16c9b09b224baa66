"""Where a request for a model's former address goes."""

from __future__ import annotations

import re

from registry.errors import MovedError


def new_address(full_path: str, error: MovedError) -> str | None:
    """Return `full_path` with the model's name of today; None when it does not hold the old one."""
    old, now = str(error.detail["model"]), str(error.detail["now"])
    path, mark, query = full_path.partition("?")
    # `owner/name.git/…` is how Git LFS spells it.
    found = re.compile(rf"/{re.escape(old)}(?=/|\.git/|\Z)", re.IGNORECASE)
    moved, count = found.subn(f"/{now}", path, count=1)
    return f"{moved}{mark}{query}" if count else None
