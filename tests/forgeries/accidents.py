"""Accidents: honest artefacts after a few changes that nobody meant.

No rule says what becomes of one; but Python and the browser must say the same. The changes are
drawn from a seed, so each run asks the same questions.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tests.forgeries.corpus import truths
from tests.forgeries.question import Question

# The data of these is JSON that only the tests read, or goes through a lenient decoder first.
_NOT_BENT = {"inclusion", "consistency", "vkey", "compact"}
_LONGEST = 20_000
_LETTERS = b"0123456789abcdefABCDEF+/=-_. "
_TOKENS = (
    *b'" { } [ ] : , \\ \\u0061 \\ud800 null true 0 -0 1.0 1e0 9007199254740993 __proto__'.split(),
    *(b"\n", b"\n\n", b"\r\n", b" ", b"\t", b"\0", b"\xff", b"\xef\xbb\xbf", b"=", b"==", b"+"),
    *(mark.encode() for mark in ("\u0085", "\u00a0", "\u2028", "\ufeff", "— ", "\U0001f600")),
)


def accidents(count: int, seed: int) -> Iterator[Question]:
    """Yield `count` bent artefacts of all kinds; their family is nobody's to say."""
    draw = random.Random(seed)  # noqa: S311 (no secret: the same accidents each time)
    kinds: dict[str, list[Question]] = {}
    for asked in truths():
        if asked.kind not in _NOT_BENT and len(asked.data) <= _LONGEST:
            kinds.setdefault(asked.kind, []).append(asked)
    names = sorted(kinds)
    for number in range(count):
        among = kinds[draw.choice(names)]
        asked = draw.choice(among)
        data = asked.data
        for _ in range(draw.choice((1, 1, 1, 2, 3))):
            data = _bent(draw, data, among)
        yield replace(asked, name=f"accident {number}: {asked.name}", data=data)


def _bent(draw: random.Random, data: bytes, among: Sequence[Question]) -> bytes:
    start = draw.randrange(len(data) + 1)
    end = min(len(data), start + draw.choice((0, 1, 1, 2, 8, 40)))
    match draw.randrange(7):
        case 0:
            return data[:start] + bytes([draw.randrange(256)]) + data[end:]
        case 1:
            return data[:start] + data[end:]
        case 2:
            return data[:end] + data[start:end] + data[end:]
        case 3:
            return data[:start] + draw.choice(_TOKENS) + data[end:]
        case 4 if start < len(data):
            flipped = data[start] ^ 1 << draw.randrange(8)
            return data[:start] + bytes([flipped]) + data[start + 1 :]
        case 5:
            other = draw.choice(among).data
            return data[:start] + other[draw.randrange(len(other) + 1) :]
        case _:
            return data[:start] + bytes([draw.choice(_LETTERS)]) + data[end:]
