"""What a hostile log, or a damaged folder, shows a mirror: the copy stays what it was."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assay.cli.source import HttpSource
from assay.errors import UnavailableError
from assay.note import COSIGNATURE, vkey_for
from tests.assay.logbook import Logbook, pages, pinned
from tests.assay.mirroring import Mirror, copy_of, mirroring, signed_again, size_of
from tests.assay.stand import Answer
from tests.assay.stand_log import request_on, talking
from tests.assay.views import LOG, ORIGIN, note_over
from tests.assay.watching import WITNESS, WITNESS_NAME, check_alone, flip, forked

Change = Callable[[dict[str, Answer]], object]


def witnessed(folder: Path) -> tuple[str, ...]:
    """Pin a policy that asks for one witness of one."""
    vkey = vkey_for(WITNESS_NAME, WITNESS.public_key(), COSIGNATURE)
    return tuple(pinned(folder, f"witness w {vkey}", "group all all w", quorum="all"))


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    with mirroring(tmp_path, monkeypatch) as somebody:
        yield somebody


GROWN = Logbook().fill(270)
FILES = GROWN.files(5)


@pytest.fixture
def book(mirror: Mirror) -> Logbook:
    """The log, of which five entries were copied."""
    book = Logbook().fill(5)
    mirror.shows(book)
    assert mirror.copy().exit_code == 0
    return book


def stays(mirror: Mirror, book: Logbook) -> None:
    """The copy is what it was, and whole."""
    assert size_of(mirror.folder) == 5
    files = mirror.files()
    assert {name: files[name] for name in book.files()} == book.files()
    assert mirror.check().exit_code == 0


def refused(mirror: Mirror, book: Logbook, change: Change) -> str:
    """Let the log grow and lie by `change`; return what is said about that."""
    mirror.place.pages = {**pages(FILES)}
    change(mirror.place.pages)
    result = mirror.copy()
    assert result.exit_code == 1, result.output
    stays(mirror, book)
    return result.stderr


def put(name: str, data: Callable[[bytes], bytes]) -> Change:
    def change(pages: dict[str, Answer]) -> None:
        page = pages[f"/log/{name}"]
        assert isinstance(page, bytes)
        pages[f"/log/{name}"] = data(page)

    return change


def envelope(index: int) -> str:
    return f"envelopes/{list(GROWN.envelopes)[index]}"


@pytest.mark.parametrize(
    "name",
    [
        "tile/0/000",
        "tile/0/001.p/14",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/14",
        envelope(100),
    ],
)
@pytest.mark.parametrize("bend", [flip, lambda data: data + b"\x00"], ids=["bit", "surplus"])
def test_mallory_may_not_bend_a_file(
    mirror: Mirror, book: Logbook, name: str, bend: Callable[[bytes], bytes]
) -> None:
    assert "ALARM" in refused(mirror, book, put(name, bend))


def test_mallory_may_not_withhold_an_envelope(mirror: Mirror, book: Logbook) -> None:
    told = refused(mirror, book, lambda pages: pages.pop(f"/log/{envelope(200)}"))
    assert "ALARM, withheld: the log signed a tree and does not show all of it: entry 200" in told
    assert envelope(200) in told
    mirror.place.pages = {**pages(FILES)}
    assert mirror.copy().exit_code == 0
    assert mirror.files() == FILES


def test_mallory_may_not_serve_the_envelope_of_another_claim(mirror: Mirror, book: Logbook) -> None:
    told = refused(mirror, book, put(envelope(100), lambda _: FILES[envelope(7)]))
    assert "entry 100: the envelope is another claim's" in told


def test_mallory_may_not_sign_for_the_log(mirror: Mirror, book: Logbook) -> None:
    stranger = note_over(GROWN.leaves, signer=WITNESS)
    assert "ALARM, refused" in refused(mirror, book, put("checkpoint", lambda _: stranger))


def test_mallory_may_not_log_what_is_no_claim(mirror: Mirror, book: Logbook) -> None:
    grown = book.copy().fill(7)
    grown.bodies.append(b"a secret message")
    mirror.shows(grown)
    result = mirror.copy()
    assert (result.exit_code, "entry 7: " in result.stderr) == (1, True)
    stays(mirror, book)


def test_a_rollback_is_refused_and_kept_as_evidence(mirror: Mirror, book: Logbook) -> None:
    mirror.shows(Logbook().fill(3))
    result = mirror.copy()
    assert (result.exit_code, "ALARM, rollback" in result.stderr) == (1, True)
    stays(mirror, book)
    assert [path.read_bytes() for path in mirror.evidence] == [book.note(), book.note(3)]


@pytest.mark.parametrize("size", [5, 300])
def test_a_fork_is_refused_with_evidence_that_verifies_by_itself(
    mirror: Mirror, book: Logbook, size: int
) -> None:
    mirror.shows(forked(book, 2, size))
    result = mirror.copy()
    assert (result.exit_code, "ALARM, split view" in result.stderr) == (1, True)
    stays(mirror, book)
    assert check_alone(mirror.evidence[-1], "--vkey", str(LOG)).returncode == 0


def test_evidence_goes_where_it_is_told(mirror: Mirror, book: Logbook, tmp_path: Path) -> None:
    mirror.shows(forked(book, 2, 9))
    assert mirror.copy("--evidence", tmp_path / "court").exit_code == 1
    assert len(list((tmp_path / "court").iterdir())) == 3
    assert mirror.evidence == []


def test_a_fork_of_a_tree_that_was_never_finished_is_found_too(
    mirror: Mirror, book: Logbook
) -> None:
    """The mirror died, or was starved, while it copied nine entries; now there are others."""
    mirror.shows(book.copy().fill(9))
    del mirror.place.pages[f"/log/{envelope(8)}"]
    assert mirror.copy().exit_code == 1
    mirror.shows(forked(book, 7, 12))
    result = mirror.copy()
    assert (result.exit_code, "ALARM, split view" in result.stderr) == (1, True)
    assert check_alone(mirror.evidence[-1], "--vkey", str(LOG)).returncode == 0
    stays(mirror, book)


def test_a_tree_that_waits_for_witnesses_cannot_be_taken_back_either(
    mirror: Mirror, book: Logbook, tmp_path: Path
) -> None:
    mirror.trust = ("--origin", ORIGIN, *witnessed(tmp_path / "pins"))
    mirror.shows(book.copy().fill(9))
    assert mirror.copy("--require-quorum").exit_code == 3
    stays(mirror, book)
    mirror.shows(forked(book, 7, 12))
    result = mirror.copy("--require-quorum")
    assert (result.exit_code, "ALARM, split view" in result.stderr) == (1, True)


def test_silence_is_no_lie_and_changes_nothing(mirror: Mirror, book: Logbook) -> None:
    grown = book.copy().fill(9)
    for name in ("checkpoint", "tile/0/000.p/9", "tile/entries/000.p/9", envelope(8)):
        mirror.shows(grown)
        mirror.place.pages[f"/log/{name}"] = (503, {}, b"later")
        result = mirror.copy()
        assert result.exit_code == 3
        assert "Could not check" in result.stderr
        assert "ALARM" not in result.stderr
        stays(mirror, book)


def test_no_log_is_no_lie(mirror: Mirror) -> None:
    result = mirror.copy()
    assert (result.exit_code, "no log is there" in result.stderr) == (3, True)
    assert size_of(mirror.folder) == -1


@pytest.mark.parametrize("path", ["checkpoint", "tile/0/000.p/9", "tile/entries/000.p/9"])
def test_mallory_may_not_send_without_end(mirror: Mirror, book: Logbook, path: str) -> None:
    mirror.shows(book.copy().fill(9))
    mirror.place.pages[f"/log/{path}"] = bytes(2 * 10**6)
    result = mirror.copy()
    assert (result.exit_code, "answered more than" in result.stderr) == (3, True)
    stays(mirror, book)


def test_mallory_may_not_be_slow_for_ever(mirror: Mirror, book: Logbook) -> None:
    """The real time-out is half a minute; here it is a moment."""
    gone = threading.Event()

    def keep_waiting(connection: socket.socket, _: int) -> None:
        request_on(connection)
        gone.wait(20)

    with talking(keep_waiting) as (url, _):
        try:
            with pytest.raises(UnavailableError, match="timed out"):
                copy_of(HttpSource(url, timeout_s=0.1), mirror.folder)
        finally:
            gone.set()
    stays(mirror, book)


@pytest.mark.parametrize("name", ["tile/0/000", "tile/entries/000", "envelopes"])
def test_a_damaged_file_of_the_copy_is_told_as_such_and_not_written_over(
    mirror: Mirror, book: Logbook, name: str
) -> None:
    """An interrupted run left files above the checkpoint; since then one of them went bad."""
    mirror.place.pages = {**pages(FILES)}
    del mirror.place.pages[f"/log/{envelope(269)}"]
    assert mirror.copy().exit_code == 1
    path = mirror.folder / (envelope(100) if name == "envelopes" else name)
    for bent in (flip(path.read_bytes(), 40), path.read_bytes() * 9):
        path.write_bytes(bent)
        mirror.place.pages = {**pages(FILES)}
        result = mirror.copy()
        assert result.exit_code == 1
        assert "ALARM" not in result.stderr
        assert str(mirror.folder) in result.stderr
        assert path.read_bytes() == bent
    path.unlink()
    assert mirror.copy().exit_code == 0
    assert mirror.files() == FILES


def test_an_envelope_of_another_claim_in_the_copy_is_damage(mirror: Mirror, book: Logbook) -> None:
    grown = book.copy().fill(7)
    mirror.shows(grown)
    (mirror.folder / envelope(6)).write_bytes(grown.files()[envelope(3)])
    result = mirror.copy()
    assert (result.exit_code, "it is another claim's" in result.stderr) == (1, True)
    assert "ALARM" not in result.stderr


def test_a_partial_tile_that_is_other_in_the_copy_is_damage(mirror: Mirror, book: Logbook) -> None:
    grown = book.copy().fill(7)
    mirror.shows(grown)
    path = mirror.folder / "tile" / "0" / "000.p" / "7"
    path.write_bytes(bytes(7 * 32))
    result = mirror.copy()
    assert (result.exit_code, "other bytes than the log" in result.stderr) == (1, True)
    assert path.read_bytes() == bytes(7 * 32)


def test_a_signature_that_the_log_no_longer_shows_is_not_lost(
    mirror: Mirror, book: Logbook
) -> None:
    name, both = signed_again(book, 2)
    mirror.shows(book)
    only = type(both)(payload=both.payload, signatures=both.signatures[1:])
    mirror.place.pages[f"/log/{name}"] = only.to_json()
    assert mirror.copy().exit_code == 0
    assert mirror.check().exit_code == 0


def test_mallory_may_not_serve_a_site_that_leads_elsewhere(mirror: Mirror, book: Logbook) -> None:
    mirror.place.pages = {
        **pages(book.copy().fill(9).files(), "/elsewhere"),
        "/log/checkpoint": (302, {"Location": "/elsewhere/checkpoint"}, b""),
    }
    result = mirror.copy()
    assert (result.exit_code, "give the address" in result.stderr) == (3, True)
