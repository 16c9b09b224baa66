"""The one place of the package that reads the environment.

`ASSAY_TRUST`: the folder with trusted_root.json, policy.txt, keys.json and keys/*.pem, in place of
`~/.config/assay/<origin>/`. `XDG_CONFIG_HOME`: in place of `~/.config`. `NODE_BINARY`: the Node
that `assay replay`, `assay trace` and `assay capsule` run.
"""

from __future__ import annotations

import os
from pathlib import Path

from assay.errors import MisuseError


def trust_folder(origin: str) -> Path:
    """Return the folder of what is pinned for the log `origin`, which is a bare host name."""
    named = os.environ.get("ASSAY_TRUST")
    if named:
        return Path(named)
    config = os.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else _home() / ".config") / "assay" / origin


def monitor_folder(origin: str) -> Path:
    """Return the folder of what a monitor remembers about the log `origin`: beside the pins."""
    return trust_folder(origin) / "monitor"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise MisuseError("this user has no home folder: set ASSAY_TRUST") from error


def node_binary() -> str:
    """Return the Node that the reader named, `""` for none."""
    return os.environ.get("NODE_BINARY", "")
