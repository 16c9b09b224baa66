"""`Prefer` (RFC 7240): how long a caller wants to wait, and whether "accepted" is answer enough.

    Prefer: respond-async, wait=10

means: wait up to ten seconds, then answer 202. `Cancel-After` shortens the deadline. The grammar is
read strictly: a header that is not the RFC's is refused, because a caller who means to wait and
misspells it should hear so. A preference that is not known, or whose value says nothing, is ignored
as the RFC demands; of a preference that stands twice the first counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from inference.errors import BadRequestError

MAX_WAIT_S = 50
_MAX_HEADER = 2_000
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = r'"(?:[\t !#-\[\]-~]|\\[\t -~])*"'
_PAIR = re.compile(rf"({_WORD})(?:[ \t]*=[ \t]*({_WORD}|{_QUOTED}))?")
_SEMICOLON = re.compile(r"[ \t]*;[ \t]*")
_COMMA = re.compile(r"[ \t]*,[ \t,]*")
_ESCAPED = re.compile(r"\\(.)")
_AFTER = re.compile(r"([0-9]{1,6})(s|m|h)?")
_UNITS = {None: 1, "s": 1, "m": 60, "h": 3_600}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What a caller prefers: `wait_s` seconds (None: did not say), and `respond_async`."""

    wait_s: int | None = None
    respond_async: bool = False

    def applied(self, *, ended: bool) -> str:
        """Return `Preference-Applied` for an answer: `ended`, or 202; "" when nothing was asked."""
        waited = [] if self.wait_s is None else [f"wait={self.wait_s}"]
        accepted = ["respond-async"] if self.respond_async and not ended else []
        return ", ".join(accepted + waited)


def parse_prefer(header: str) -> Preferences:
    """Read the field value of `Prefer`, several fields joined by commas; "" is none.

    Raises:
        BadRequestError: it is not what RFC 7240 calls a preference list.
    """
    found = _preferences(header)
    return Preferences(
        wait_s=_seconds(found.get("wait", "")), respond_async=found.get("respond-async") == ""
    )


def _preferences(header: str) -> dict[str, str]:
    text = header.strip(" \t,")
    if len(text) > _MAX_HEADER:
        raise BadRequestError(f"A Prefer header has at most {_MAX_HEADER} characters.")
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _PAIR.match(text, at)
        if match is None:
            raise _not_a_list(at)
        found.setdefault(match[1].lower(), _plain(match[2] or ""))
        at = _after_parameters(text, match.end())
        comma = _COMMA.match(text, at)
        if comma is None and at < len(text):
            raise _not_a_list(at)
        at = comma.end() if comma else at
    return found


def _after_parameters(text: str, at: int) -> int:
    """Return where the parameters of a preference end; none of ours has any, so they are left."""
    while (semicolon := _SEMICOLON.match(text, at)) is not None:
        pair = _PAIR.match(text, semicolon.end())
        at = semicolon.end() if pair is None else pair.end()
    return at


def _plain(value: str) -> str:
    return _ESCAPED.sub(r"\1", value[1:-1]) if value.startswith('"') else value


def _not_a_list(at: int) -> BadRequestError:
    return BadRequestError(
        f"The Prefer header is no list of preferences (RFC 7240) from character {at + 1} on; "
        "write it as in 'Prefer: respond-async, wait=10'."
    )


def _seconds(value: str) -> int | None:
    """Return delta-seconds, at most `MAX_WAIT_S`; None for anything else."""
    if not (value.isascii() and value.isdigit()):
        return None
    return MAX_WAIT_S if len(value.lstrip("0")) > 2 else min(int(value), MAX_WAIT_S)


def parse_wait(text: str | None) -> int | None:
    """Read `?wait=` as `Prefer: wait` is read; None where it is not given.

    Raises:
        BadRequestError: not a number of seconds.
    """
    if text is None:
        return None
    seconds = _seconds(text)
    if seconds is None:
        raise BadRequestError("wait is a number of seconds.", field="wait")
    return seconds


def parse_cancel_after(text: str | None) -> int | None:
    """Read `Cancel-After`: seconds, or a number with `s`, `m` or `h`; None where it is not given.

    Raises:
        BadRequestError: not that, or zero.
    """
    if text is None:
        return None
    match = _AFTER.fullmatch(text.strip(" \t"))
    seconds = int(match[1]) * _UNITS[match[2]] if match else 0
    if seconds < 1:
        raise BadRequestError("Cancel-After is a time such as 90, 90s, 15m or 1h.")
    return seconds
