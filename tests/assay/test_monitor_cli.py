"""`assay monitor` follows a log over HTTP: what it reads, reports, remembers, and is asked."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assay.cli import app
from assay.note import vkey_for
from tests.assay.logbook import (
    ALICE,
    MALLORY,
    Logbook,
    cosigned,
    fingerprint,
    pages,
    pinned,
    put,
)
from tests.assay.views import ORIGIN
from tests.assay.watching import NAME, WITNESS, WITNESS_NAME, Reader, reading, witnessed


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    with reading(tmp_path, monkeypatch) as somebody:
        yield somebody


@pytest.fixture
def book() -> Logbook:
    return Logbook().fill(5)


def test_the_first_round_reads_everything_and_says_that_it_trusts_the_root(
    reader: Reader, book: Logbook
) -> None:
    reader.shows(book)
    result = reader.look()
    assert result.exit_code == 0, result.output
    assert f"First contact with {ORIGIN}" in result.stdout
    assert f"{ORIGIN}: 5 leaves, 5 checked now; logged" in result.stdout
    assert reader.size() == 5


def test_growth_is_followed_and_only_what_is_new_is_read(reader: Reader, book: Logbook) -> None:
    reader.shows(book)
    assert reader.look().exit_code == 0
    book.fill(300)
    reader.shows(book, 5)
    reader.place.asked.clear()
    result = reader.look()
    assert result.exit_code == 0, result.output
    assert "300 leaves, 295 checked now" in result.stdout
    assert "First contact" not in result.stdout
    old = [
        digest
        for digest in list(book.envelopes)[:5]
        if f"/log/envelopes/{digest}" in reader.place.asked
    ]
    assert old == []
    assert reader.size() == 300
    assert "0 checked now" in reader.look().stdout


def test_an_empty_log_is_followed_from_its_birth(reader: Reader, book: Logbook) -> None:
    reader.shows(Logbook())
    assert "0 leaves, 0 checked now" in reader.look().stdout
    reader.shows(book)
    assert reader.look().exit_code == 0
    assert reader.size() == 5


def test_a_copy_in_a_folder_is_followed_too(reader: Reader, book: Logbook) -> None:
    copy = put(reader.folder / "copy", book.files())
    arguments = ["monitor", str(copy), "--once", *reader.trust, "--state", str(reader.state)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert reader.size() == 5


def test_alice_hears_of_what_is_said_in_her_name(reader: Reader, book: Logbook) -> None:
    book.register(MALLORY, "alice")
    book.point("latest", "alice/digits", MALLORY)
    book.point("latest", "bob/cats", MALLORY)
    reader.shows(book)
    watch = ("--owner", "alice", "--model", "carol/x", "--key", fingerprint(ALICE))
    result = reader.look(*watch)
    assert result.exit_code == 0
    assert (
        f"ALARM  entry 5: key alice register publisher key {fingerprint(MALLORY)}" in result.stdout
    )
    assert "WARNING  entry 6: alias alice/digits latest" in result.stdout
    assert "NEWS  entry 0: alias alice/digits v0" in result.stdout
    assert "bob/cats" not in result.stdout
    shutil.rmtree(reader.state)
    told = [event for event in reader.tells(*watch) if event["event"] == "statement"]
    assert [event["level"] for event in told] == ["news"] * 5 + ["alarm", "warning"]
    assert told[5]["about"] == "alice"
    assert told[6]["watched"] == ["owner alice"]


def test_control_characters_of_a_stranger_do_not_reach_the_terminal(reader: Reader) -> None:
    book = Logbook()
    book.point("\x1b[2Jgone")
    reader.shows(book)
    result = reader.look("--owner", "alice")
    assert "\x1b" not in result.stdout
    assert "[2Jgone" in result.stdout


def test_history_may_be_skipped_and_that_is_said(reader: Reader, book: Logbook) -> None:
    reader.shows(book)
    del reader.place.pages[f"/log/envelopes/{next(iter(book.envelopes))}"]
    result = reader.look("--skip-history")
    assert result.exit_code == 0
    assert "Not checked, as you asked: entries 0 to 4" in result.stdout
    assert reader.size() == 5
    assert "as you asked: no entry" in reader.look("--skip-history").stdout
    assert reader.look("--from-start").exit_code == 1


def test_history_may_be_checked_once_more(reader: Reader, book: Logbook) -> None:
    reader.shows(book)
    assert reader.look().exit_code == 0
    for size in (5, 9):
        book.fill(size)
        reader.shows(book)
        told = reader.tells("--from-start", "--owner", "alice")
        assert [event["index"] for event in told if event["event"] == "statement"] == list(
            range(size)
        )
        assert reader.size() == size


def test_logged_is_told_from_witnessed(reader: Reader, book: Logbook) -> None:
    reader.trust = witnessed(reader)
    reader.shows(book)
    result = reader.look()
    assert result.exit_code == 0
    assert "5 checked now; logged; witnessed by 0 of 1, no quorum" in result.stdout
    result = reader.look("--require-quorum")
    assert result.exit_code == 3
    assert "the tree of 5 leaves has no quorum of witnesses" in result.stderr
    note = cosigned(book.note(), (WITNESS_NAME, WITNESS))
    reader.place.pages["/log/checkpoint"] = note
    result = reader.look("--require-quorum")
    assert result.exit_code == 0
    assert "witnessed by 1 of 1" in result.stdout
    (told,) = reader.tells()
    assert told["witnesses"] == [{"name": WITNESS_NAME, "time": 1767225600}]
    assert told["quorum"] is True


def test_a_damaged_memory_is_said_and_nothing_is_checked(reader: Reader, book: Logbook) -> None:
    reader.shows(book)
    assert reader.look().exit_code == 0
    (reader.state / NAME).write_bytes(b"garbage")
    result = reader.look()
    assert result.exit_code == 3
    assert "put it aside" in result.stderr


def test_without_options_pins_and_memory_lie_under_the_origin(
    reader: Reader, book: Logbook
) -> None:
    book_pages = pages(book.files())
    reader.place.pages = {**book_pages}
    pins = reader.folder / "config" / "assay" / ORIGIN
    pinned(pins)
    arguments = ["monitor", reader.url, "--once", "--origin", ORIGIN, "--retries", "0"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert (pins / "monitor" / NAME).exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--key", "abc"), "a fingerprint is 64 lower-case hex digits"),
        (("--model", "digits"), "is not a model id"),
        (("--owner", "alice/digits"), "before the slash"),
        (("--owner", ""), "before the slash"),
        (("--from-start", "--skip-history"), "choose one"),
        (("--origin", "Ledger.Example.Org"), "bare host name"),
        (("--origin", "other.example.org"), "does not name the log other.example.org"),
    ],
)
def test_what_cannot_be_asked_is_misuse(
    reader: Reader, arguments: tuple[str, ...], message: str
) -> None:
    result = reader.look(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_the_host_is_the_log_unless_another_name_is_given(reader: Reader, book: Logbook) -> None:
    reader.shows(book)
    result = CliRunner().invoke(app, ["monitor", reader.url, "--once"])
    assert result.exit_code == 2
    assert "the log is taken to be 127.0.0.1: --origin names another" in result.stderr
    for url in ("http://[::1]:1/log", "http://user@host/", "http://"):
        result = CliRunner().invoke(app, ["monitor", url, "--once"])
        assert result.exit_code == 2


def test_a_policy_about_other_logs_is_misuse(reader: Reader) -> None:
    other = vkey_for("other.example.org", WITNESS.public_key(), 1)
    (reader.folder / "pins" / "policy.txt").write_text(f"log {other}\nquorum none\n")
    result = reader.look()
    assert result.exit_code == 2
    assert "the policy does not name the log" in result.stderr
