"""Django's secret key: made once, kept in a file of mode 0600, never in the repository."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from config.env import SettingError


def secret_key(path: Path) -> str:
    """Return the key in `path`, made on first use.

    The file is linked into place whole, so two processes that start together agree on one key.

    Raises:
        SettingError: the folder cannot be made, written or read.
    """
    try:
        if not path.exists():
            _make(path)
        return path.read_text(encoding="ascii")
    except OSError as error:
        raise SettingError(
            f"{path} cannot be used ({error.strerror}): set DATA to a folder that you can write, "
            "or SECRET_KEY"
        ) from error


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(secrets.token_urlsafe(48), encoding="ascii")
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
