"""What a check says: a level, words, and how to mend it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is; only a fault fails the examination."""

    GOOD = "good"
    WARNING = "warning"
    FAULT = "fault"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a check found; `check` is its name, `remedy` what the operator can do."""

    level: Level
    words: str
    remedy: str = ""
    check: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A name, how to look, and the check without which looking makes no sense."""

    name: str
    look: Callable[[], Iterator[Finding]]
    needs: str = ""


def good(words: str) -> Finding:
    """Say that something is as it should be."""
    return Finding(level=Level.GOOD, words=words)


def warning(words: str, remedy: str) -> Finding:
    """Say what works now and may not later, or is not as safe as it could be."""
    return Finding(level=Level.WARNING, words=words, remedy=remedy)


def fault(words: str, remedy: str) -> Finding:
    """Say what does not work, or is not safe."""
    return Finding(level=Level.FAULT, words=words, remedy=remedy)


def skipped(check: Check) -> Finding:
    """Say that a check was not made, because the one that it rests on failed."""
    words = f"not looked at: {check.needs} comes first"
    return Finding(level=Level.SKIPPED, words=words, check=check.name)


def size(count: int) -> str:
    """Spell a number of bytes for people."""
    for unit, step in (("GiB", 2**30), ("MiB", 2**20)):
        if count >= step:
            return f"{count / step:.1f} {unit}"
    return f"{count} bytes"
