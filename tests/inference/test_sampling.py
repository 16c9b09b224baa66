"""Lots that nobody could choose, and that anybody can draw again."""

from __future__ import annotations

import hashlib

import pytest

from assay.errors import FormatError
from assay.note import SignatureLine, parse_note
from inference.sampling import drawn, lot, note_to_draw_by, seed_of

TEXT = "log.example\n70\n" + "A" * 43 + "=\n"
SEED = bytes(range(32))


def line(name: str, fill: int) -> SignatureLine:
    return SignatureLine(name=name, key_id=bytes([fill] * 4), payload=bytes([fill] * 72))


LOG, WANDA, WALT = line("log.example", 1), line("wanda", 2), line("walt", 3)


def test_a_stranger_draws_the_same_lots_with_a_few_lines_of_python() -> None:
    note = note_to_draw_by(TEXT, LOG, [WANDA, WALT])
    text, _, lines = note.decode().partition("\n\n")
    witnesses = "".join(sorted(lines.splitlines(keepends=True)[1:]))
    seed = hashlib.sha256(f"assay-audit-v1\n{text}\n\n{witnesses}".encode()).digest()
    assert seed_of(note) == seed
    number = int.from_bytes(hashlib.sha256(seed + (5).to_bytes(8, "big")).digest()[:8], "big")
    assert lot(seed, 5) == number
    wanted = [
        i
        for i in range(500)
        if int.from_bytes(hashlib.sha256(seed + i.to_bytes(8, "big")).digest()[:8], "big") * 10
        < 2**64
    ]
    assert drawn(seed, range(500), 10) == wanted


def test_who_holds_the_logs_key_cannot_sign_for_a_better_seed() -> None:
    first = note_to_draw_by(TEXT, LOG, [WANDA])
    again = note_to_draw_by(TEXT, line("log.example", 9), [WANDA])
    assert first != again
    assert seed_of(first) == seed_of(again)
    assert seed_of(first) != seed_of(note_to_draw_by(TEXT, LOG, [line("wanda", 4)]))
    assert seed_of(first) != seed_of(note_to_draw_by(TEXT, LOG, [WANDA, WALT]))


def test_the_order_in_which_witnesses_answered_says_nothing() -> None:
    note = note_to_draw_by(TEXT, LOG, [WANDA, WALT])
    assert note == note_to_draw_by(TEXT, LOG, [WALT, WANDA])
    assert parse_note(note).lines[0] == LOG


def test_what_is_no_note_has_no_seed() -> None:
    with pytest.raises(FormatError):
        seed_of(b"nothing")


def test_about_one_in_rate_is_drawn() -> None:
    assert 70 < len(drawn(SEED, range(10_000), 100)) < 130
    assert drawn(SEED, range(50), 1) == list(range(50))


def test_of_each_round_at_least_one_is_drawn() -> None:
    indices = range(100, 120)
    assert drawn(SEED, indices, 10**9) == [min(indices, key=lambda index: lot(SEED, index))]
    assert drawn(SEED, [], 10) == []


def test_rate_zero_draws_nothing() -> None:
    assert drawn(SEED, range(100), 0) == []
