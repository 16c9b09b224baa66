"""What the inspection says: a code, a place, what to do about it, and how bad it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["failed", "flag", "note"]
_PLACE_LETTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding. `failed` refuses the file, `flag` is published with words, `note` is a fact."""

    code: str
    place: str
    remedy: str
    level: Level = "failed"

    def to_dict(self) -> dict[str, str]:
        """Return the JSON object."""
        return {
            "code": self.code,
            "place": self.place,
            "remedy": self.remedy,
            "level": self.level,
        }


class RejectedError(Exception):
    """The file is refused; the first failure ends the inspection."""

    def __init__(self, code: str, place: str, remedy: str) -> None:
        super().__init__(f"{code}: {place}: {remedy}")
        self.finding = Finding(code=code, place=quoted(place), remedy=remedy)


def quoted(text: str) -> str:
    """Return a stranger's text cut to size, control characters as escapes."""
    cut = text if len(text) <= _PLACE_LETTERS else text[: _PLACE_LETTERS - 1] + "…"
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in cut
    )
