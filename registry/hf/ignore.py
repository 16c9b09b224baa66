"""Which files a `.gitignore` leaves out, for the `shouldIgnore` of a preupload (gitignore(5))."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_BYTES = 64 * 1024
MAX_RULES = 1_000
_MAX_PATTERN = 200
_MAX_STARS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    pattern: re.Pattern[str]
    folder: bool
    keep: bool


class Ignored:
    """The rules of one file at the top of a tree; the last that matches decides."""

    def __init__(self, text: str) -> None:
        lines = text[:MAX_BYTES].splitlines()[:MAX_RULES]
        self._rules = [rule for line in lines if (rule := _rule(line)) is not None]

    def __contains__(self, path: str) -> bool:
        parts = path.split("/")
        for depth in range(1, len(parts)):  # inside a folder that is left out nothing is kept
            if self._left_out("/".join(parts[:depth]), folder=True):
                return True
        return self._left_out(path, folder=False)

    def _left_out(self, path: str, *, folder: bool) -> bool:
        for rule in reversed(self._rules):
            if (folder or not rule.folder) and rule.pattern.fullmatch(path):
                return not rule.keep
        return False


def _rule(line: str) -> _Rule | None:
    text = line.rstrip()
    if not text or text.startswith("#") or len(text) > _MAX_PATTERN:
        return None
    keep = text.startswith("!")
    text = text[1:] if keep else text
    folder = text.endswith("/")
    text = text.rstrip("/")
    anchored = "/" in text
    text = text.removeprefix("/")
    if not text or text.count("*") > _MAX_STARS:
        return None
    try:
        pattern = re.compile(("" if anchored else "(?:.*/)?") + _regex(text))
    except re.error:
        return None
    return _Rule(pattern=pattern, folder=folder, keep=keep)


def _regex(text: str) -> str:
    """Return a regular expression: `*` and `?` stay in a segment, `**` crosses them."""
    found, at = "", 0
    while at < len(text):
        rest = text[at:]
        if rest.startswith("**/"):
            found, at = found + "(?:.*/)?", at + 3
        elif rest.startswith("/**") and len(rest) == 3:
            found, at = found + "/.+", at + 3
        elif rest[0] == "*":
            stars = len(rest) - len(rest.lstrip("*"))
            found, at = found + "[^/]*", at + stars
        elif rest[0] == "?":
            found, at = found + "[^/]", at + 1
        elif rest[0] == "[" and (end := rest.find("]", 2)) > 0:
            inner = rest[1:end]
            inner = ("^" + inner[1:]) if inner[0] in "!^" else inner
            found, at = found + f"[{inner}]".replace("\\", "\\\\"), at + end + 1
        elif rest[0] == "\\" and len(rest) > 1:
            found, at = found + re.escape(rest[1]), at + 2
        else:
            found, at = found + re.escape(rest[0]), at + 1
    return found
