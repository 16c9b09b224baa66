"""A mirror copies a log whole: anyone can serve the folder, and it verifies by itself."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assay.checkpoint import parse_checkpoint
from assay.cli import app
from assay.cli.source import open_source
from assay.logdata import parse_stored, read_entries
from assay.note import parse_note, vkey_for
from tests.assay.logbook import TRUSTED_ROOT, Logbook, cosigned, pages, pinned
from tests.assay.mirroring import Mirror, files_of, mirroring, signed_again
from tests.assay.stand_log import file_server
from tests.assay.views import LOG, ORIGIN
from tests.assay.watching import WITNESS, WITNESS_NAME, forked


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    with mirroring(tmp_path, monkeypatch) as somebody:
        yield somebody


@pytest.fixture
def book() -> Logbook:
    return Logbook().fill(5)


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(item) for item in arguments])
    return result.exit_code, result.output


@pytest.mark.parametrize("size", [0, 5, 256, 300])
def test_a_copy_is_the_log_byte_for_byte(mirror: Mirror, size: int) -> None:
    book = Logbook().fill(size)
    mirror.shows(book)
    result = mirror.copy()
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"{ORIGIN}: {size} entries, {size} copied now; logged" in result.stdout
    assert mirror.files() == book.files()
    assert mirror.check("--strict").exit_code == 0


def test_a_copy_on_a_plain_file_server_is_a_log_to_everyone(
    mirror: Mirror, book: Logbook, tmp_path: Path
) -> None:
    mirror.shows(book)
    assert mirror.copy().exit_code == 0
    trust = tuple(pinned(tmp_path / "pins"))
    again = tmp_path / "again"
    with file_server(mirror.folder) as url:
        assert run("fsck", url, "--log", LOG)[0] == 0
        code, text = run("monitor", url, "--once", "--origin", ORIGIN, "--retries", 0, *trust)
        assert (code, "5 leaves, 5 checked now" in text) == (0, True)
        assert run("mirror", url, again, "--log", LOG)[0] == 0
        with open_source(url) as source:
            tree = parse_checkpoint(parse_note(source.checkpoint()).text)
            assert [entry.body for entry in read_entries(source, 0, tree)] == book.bodies
    assert files_of(again) == book.files()


def test_a_copy_grows_with_the_log_and_loads_nothing_twice(mirror: Mirror, book: Logbook) -> None:
    mirror.shows(book)
    assert mirror.copy().exit_code == 0
    grown = book.copy().fill(300)
    mirror.shows(grown)
    assert mirror.told() == [
        {
            "event": "copied",
            "origin": ORIGIN,
            "size": 300,
            "copied": 295,
            "root": parse_checkpoint(parse_note(grown.note()).text).root.hex(),
            "witnesses": [],
            "quorum": True,
        }
    ]
    assert mirror.files() == grown.files(5)
    assert mirror.check("--strict").exit_code == 0
    loaded = [path for path in mirror.place.asked if "/envelopes/" in path]
    assert len(loaded) == len(set(loaded)) == 295


def test_a_log_that_did_not_grow_costs_one_question(mirror: Mirror, book: Logbook) -> None:
    mirror.shows(book)
    assert mirror.copy().exit_code == 0
    mirror.place.asked.clear()
    assert "0 copied now" in mirror.copy().stdout
    assert mirror.place.asked == ["/log/checkpoint"]


def test_cosignatures_that_come_later_are_copied_and_none_is_lost(
    mirror: Mirror, book: Logbook, tmp_path: Path
) -> None:
    vkey = vkey_for(WITNESS_NAME, WITNESS.public_key(), 4)
    lines = (f"witness w {vkey}", "group all all w")
    mirror.trust = ("--origin", ORIGIN, *pinned(tmp_path / "pins", *lines, quorum="all"))
    mirror.shows(book)
    assert "witnessed by 0 of 1, no quorum" in mirror.copy().stdout
    result = mirror.copy("--require-quorum")
    assert (result.exit_code, "no quorum of witnesses yet" in result.stderr) == (3, True)
    note = cosigned(book.note(), (WITNESS_NAME, WITNESS))
    for shown in (note, book.note()):
        mirror.place.pages["/log/checkpoint"] = shown
        result = mirror.copy("--require-quorum")
        assert (result.exit_code, "witnessed by 1 of 1\n" in result.stdout) == (0, True)
        assert mirror.files()["checkpoint"] == note


def test_the_pins_of_whoever_copied_are_offered_to_strangers(
    mirror: Mirror, book: Logbook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned_here = tmp_path / "config" / "assay" / ORIGIN
    pinned(pinned_here)
    mirror.trust = ("--origin", ORIGIN)
    mirror.shows(book)
    assert "No keys.json is pinned here" in mirror.copy().stdout
    (pinned_here / "keys.json").write_bytes(b'{"keys":[]}')
    result = mirror.copy()
    assert (result.exit_code, "pinned" in result.stdout) == (0, False)
    place = mirror.folder / ".well-known" / "assay"
    assert (place / "trusted_root.json").read_bytes() == TRUSTED_ROOT
    assert mirror.check("--strict").exit_code == 0
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "stranger"))
    with file_server(mirror.folder) as url:
        code, text = run("trust", "init", url)
        assert (code, str(LOG) in text) == (0, True)
        assert run("fsck", url)[0] == 0


def test_a_second_signature_over_a_payload_joins_its_envelope(
    mirror: Mirror, book: Logbook
) -> None:
    mirror.shows(book)
    assert mirror.copy().exit_code == 0
    name, both = signed_again(book, 2)
    mirror.shows(book)
    mirror.place.pages[f"/log/{name}"] = both.to_json()
    assert mirror.copy().exit_code == 0
    assert parse_stored(mirror.files()[name]).signatures == both.signatures
    assert mirror.check("--strict").exit_code == 0


def test_two_signatures_of_one_run_are_both_kept_in_the_order_of_the_log(
    mirror: Mirror, book: Logbook
) -> None:
    name, both = signed_again(book, 2)
    stranger = both.signatures[0][:-1] + bytes([both.signatures[0][-1] ^ 1])
    mirror.shows(book)
    more = type(both)(payload=both.payload, signatures=(*both.signatures, stranger))
    mirror.place.pages[f"/log/{name}"] = more.to_json()
    assert mirror.copy("--jobs", 4).exit_code == 0
    assert mirror.files()[name] == both.to_json()


def test_two_mirrors_on_one_folder_exclude_each_other(mirror: Mirror, book: Logbook) -> None:
    mirror.shows(book)
    mirror.folder.mkdir()
    with (mirror.folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = mirror.copy()
    assert (result.exit_code, "another mirror is at work" in result.stderr) == (3, True)
    assert mirror.copy().exit_code == 0


def test_nothing_is_copied_over_other_files(mirror: Mirror, book: Logbook, tmp_path: Path) -> None:
    mirror.shows(book)
    mirror.folder.mkdir()
    (mirror.folder / "thesis.tex").write_text("x")
    result = mirror.copy()
    assert (result.exit_code, "holds no copy of a log" in result.stderr) == (2, True)
    mirror.folder = tmp_path / "file"
    mirror.folder.write_text("x")
    result = mirror.copy()
    assert (result.exit_code, "cannot use" in result.stderr) == (3, True)


def test_the_name_of_the_log_is_its_hosts_unless_told_otherwise(
    mirror: Mirror, book: Logbook, tmp_path: Path
) -> None:
    mirror.shows(book)
    mirror.trust = ()
    result = mirror.copy()
    assert (result.exit_code, "the log is taken to be 127.0.0.1" in result.stderr) == (2, True)
    code, text = run("mirror", "http://[::1]:1", mirror.folder)
    assert (code, "give its name by --origin, or its key by --log" in text) == (2, True)
    mirror.trust = ("--log", str(LOG))
    assert mirror.copy().exit_code == 0
    pinned(tmp_path / "config" / "assay" / ORIGIN)
    assert run("mirror", mirror.folder, tmp_path / "second")[0] == 0
    assert files_of(tmp_path / "second") == book.files()


def test_a_folder_of_another_log_is_not_gone_on_with(mirror: Mirror, book: Logbook) -> None:
    mirror.shows(book)
    assert mirror.copy().exit_code == 0
    for note, words in (
        (b"nonsense", "is not this log's checkpoint"),
        (bytes(10**6 + 1), "longer"),
    ):
        (mirror.folder / "checkpoint").write_bytes(note)
        result = mirror.copy()
        assert (result.exit_code, words in result.stderr) == (1, True)
        assert "ALARM" not in result.stderr


def test_a_copy_is_mended_by_moving_the_damage_away_with_the_checkpoint(
    mirror: Mirror, book: Logbook
) -> None:
    mirror.shows(book)
    assert mirror.copy().exit_code == 0
    lost = next(iter(book.envelopes))
    for name in ("checkpoint", f"envelopes/{lost}", "tile/0/000.p/5"):
        (mirror.folder / name).unlink()
    mirror.place.asked.clear()
    assert mirror.copy().exit_code == 0
    assert mirror.files() == book.files()
    assert [path for path in mirror.place.asked if "/envelopes/" in path] == [
        f"/log/envelopes/{lost}"
    ]
    (mirror.folder / "checkpoint").unlink()
    mirror.shows(forked(book, 2, 9))
    assert "split view" in mirror.copy().stderr


def test_a_bar_is_drawn_on_a_terminal(
    mirror: Mirror, book: Logbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.shows(book)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "entries" in mirror.copy().stderr


def test_a_partial_tile_that_the_log_dropped_is_cut_from_the_full_one(
    mirror: Mirror, book: Logbook
) -> None:
    grown = book.copy().fill(300)
    mirror.place.pages = {
        **pages(grown.files()),
        "/log/checkpoint": book.note(),
    }
    assert mirror.copy().exit_code == 0
    assert mirror.files() == book.files()
