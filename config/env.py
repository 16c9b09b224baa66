"""The one reader of the environment: strict, typed, and explicit about what is missing.

A setting may come from `NAME` or, so that secrets stay out of process lists, from the file that
`NAME_FILE` names.
"""

from __future__ import annotations

import os
from pathlib import Path

_BOOLEANS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


class SettingError(Exception):
    """A variable of the environment does not spell a value of its type."""


def prepare() -> None:
    """Name the settings module, so that `manage.py` and the servers agree on it."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


def text(name: str, default: str = "") -> str:
    """Return `NAME`, or the stripped content of the file `NAME_FILE`, or `default`."""
    if f"{name}_FILE" in os.environ:
        return Path(os.environ[f"{name}_FILE"]).read_text(encoding="utf-8").strip()
    return os.environ.get(name, "") or default


def boolean(name: str, default: bool) -> bool:
    """Return the boolean that `NAME` spells (1, true, yes, 0, false, no).

    Raises:
        SettingError: any other spelling.
    """
    raw = text(name)
    if not raw:
        return default
    try:
        return _BOOLEANS[raw.lower()]
    except KeyError:
        raise SettingError(f"{name} is 1, true, yes, 0, false or no, not {raw!r}") from None


def integer(name: str, default: int) -> int:
    """Return the decimal integer that `NAME` spells.

    Raises:
        SettingError: anything but ASCII digits.
    """
    raw = text(name)
    if not raw:
        return default
    if not (raw.isascii() and raw.isdigit()):
        raise SettingError(f"{name} is a whole number, not {raw!r}")
    return int(raw)


def words(name: str, default: tuple[str, ...]) -> list[str]:
    """Return the comma-separated items of `NAME`, stripped."""
    raw = text(name)
    return [item.strip() for item in raw.split(",") if item.strip()] if raw else list(default)


def environment(**changes: str) -> dict[str, str]:
    """Return a copy of the environment for a child process, with `changes` laid over it."""
    return {**os.environ, **changes}
