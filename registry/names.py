"""What may be a name in an address, for owners, models, versions and aliases.

The union of what the Hugging Face Hub and the Open Inference Protocol can carry: ASCII letters,
digits, `.`, `_` and `-`, at most 96, an alphanumeric at both ends, no `--` and no `..`.
"""

from __future__ import annotations

import re

from registry.errors import InvalidInputError

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?")
OIP_WORDS = frozenset(
    {
        *("versions", "infer", "ready", "config", "stats", "index", "load", "unload"),
        *("generate", "generate_stream"),
    }
)
SITE_WORDS = frozenset(
    {
        *("about", "accounts", "admin", "api", "assay", "blobs", "buckets", "datasets", "docs"),
        *("executions", "health", "healthz", "hf", "kernels", "keys", "ledger", "lfs", "log"),
        *(
            "login",
            "logout",
            "me",
            "metrics",
            "models",
            "moderation",
            "new",
            "oauth",
            "orgs",
            "publish",
        ),
        *("readyz", "resolve", "runtimes", "schedules", "search", "settings", "sha256"),
        *("signup", "spaces"),
        *("static", "status", "styleguide", "v1", "v2", "verify", "xet"),
        *("favicon.ico", "robots.txt", "sitemap.xml"),
    }
)


def check_name(name: str, what: str) -> str:
    """Return `name` when it may stand in an address.

    Raises:
        InvalidInputError: the rule that it breaks.
    """
    if _NAME.fullmatch(name) is None or "--" in name or ".." in name or name.endswith(".git"):
        raise InvalidInputError(
            f"A {what} has 1 to 96 letters, digits, '.', '_' or '-', starts and ends with a letter "
            "or digit, and has neither '--' nor '..' in it.",
            field=what,
            value=name[:200],
        )
    if name.lower() in OIP_WORDS:
        raise InvalidInputError(f"'{name}' is a word of the protocol.", field=what, value=name)
    return name


def check_owner_name(name: str) -> str:
    """Return `name` when an owner may have it: a name that no address of the site begins with.

    Raises:
        InvalidInputError: the rule that it breaks.
    """
    check_name(name, "owner name")
    if name.lower() in SITE_WORDS:
        raise InvalidInputError(f"'{name}' is reserved.", field="owner name", value=name)
    return name
