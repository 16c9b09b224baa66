"""The one place of the package that reads the environment.

`ASSAY_TRUST`: the folder with trusted_root.json, policy.txt, keys.json and keys/*.pem, in place of
`~/.config/assay/<origin>/`. `XDG_CONFIG_HOME`: in place of `~/.config`. `NODE_BINARY`: the Node
that `assay replay`, `audit`, `trace` and `capsule` run. `ASSAY_TOKEN`: the API token with which
`assay run`, `pull`, `audit`, `push`, `sign` and `key` speak to a registry; `replay` and `trace`
send it to one that `--url` names or whose log is pinned. `ASSAY_PASSPHRASE`: what opens an
encrypted key file. `ASSAY_ID_TOKEN`: an ID token of a build service, for `--trusted`; without it
GitHub's own two variables name where to ask for one. `NO_COLOR`, `TERM`: whether a terminal gets
colours.
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


def pinned_folders() -> list[Path]:
    """Return the folders in which something may be pinned, by name; they may hold anything."""
    named = os.environ.get("ASSAY_TRUST")
    if named:
        return [Path(named)] if Path(named).is_dir() else []
    above = trust_folder("x").parent
    return sorted(path for path in above.iterdir() if path.is_dir()) if above.is_dir() else []


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


def api_token() -> str:
    """Return the token for a registry's REST API, `""` for none."""
    return os.environ.get("ASSAY_TOKEN", "").strip()


def key_passphrase() -> str:
    """Return what opens a key file, `""` for nothing."""
    return os.environ.get("ASSAY_PASSPHRASE", "")


def id_token() -> str:
    """Return the ID token that the build service left, `""` for none."""
    return os.environ.get("ASSAY_ID_TOKEN", "").strip()


def id_token_request() -> tuple[str, str]:
    """Return the URL and the bearer token with which GitHub Actions gives an ID token, or `""`."""
    url = os.environ.get("ACTIONS_ID_TOKEN_REQUEST_URL", "")
    return url, os.environ.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "")


def wants_colours() -> bool:
    """Return whether a terminal may be sent colours: not with `NO_COLOR`, nor to a dumb one."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM", "") not in ("", "dumb")
