"""What a lying log shows a monitor, and what is left in the monitor's hands as proof."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assay.merkle import prove_consistency
from assay.witness import add_checkpoint, render_add_checkpoint
from tests.assay.logbook import (
    Logbook,
    cosigned,
    pages,
    put,
)
from tests.assay.simulators import MemoryStore
from tests.assay.views import LOG, ORIGIN, Leaves, note_over, numbered
from tests.assay.watching import (
    NAME,
    WITNESS,
    WITNESS_NAME,
    Reader,
    check_alone,
    flip,
    forked,
    reading,
    witnessed,
)


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    with reading(tmp_path, monkeypatch) as somebody:
        yield somebody


@pytest.fixture
def book() -> Logbook:
    return Logbook().fill(5)


def test_a_fork_of_one_size_is_told_with_evidence_that_verifies_by_itself(
    reader: Reader, book: Logbook
) -> None:
    reader.shows(book)
    assert reader.look().exit_code == 0
    other = forked(book, 4, 5)
    reader.shows(other)
    result = reader.look()
    assert result.exit_code == 1
    assert f"ALARM, split view: {ORIGIN} signed two trees of 5 leaves" in result.stderr
    first, second, proof = reader.evidence[0], reader.evidence[1], reader.evidence[2]
    assert (first.suffix, second.suffix, proof.suffix) == (".checkpoint", ".checkpoint", ".json")
    assert (first.read_bytes(), second.read_bytes()) == (book.note(), other.note())
    assert f"assay split-view {proof} --vkey {LOG}" in result.stderr
    alone = check_alone(proof, "--vkey", str(LOG))
    assert alone.returncode == 0
    assert "signed two trees of 5 leaves" in alone.stdout
    remembered = reader.remembered()
    assert remembered.checked is not None
    assert remembered.checked.note == book.note()


def test_a_fork_that_grew_is_told_with_evidence_that_verifies_by_itself(
    reader: Reader, book: Logbook
) -> None:
    reader.shows(book)
    assert reader.look().exit_code == 0
    reader.shows(forked(book, 2, 300))
    (told,) = reader.tells()
    assert (told["event"], told["kind"]) == ("alarm", "split view")
    proof = Path(told["files"][-1])
    assert check_alone(proof, "--vkey", str(LOG)).returncode == 0
    assert "whose first 5 have the root" in told["reason"]
    assert reader.size() == 5


def test_a_smaller_tree_is_a_rollback_and_both_checkpoints_are_kept(
    reader: Reader, book: Logbook
) -> None:
    reader.shows(book)
    assert reader.look().exit_code == 0
    smaller = Logbook(bodies=book.bodies[:3], envelopes=book.envelopes)
    for pages_of in (smaller.files(), {**book.files(), "checkpoint": smaller.note()}):
        reader.place.pages = {**pages(pages_of)}
        result = reader.look()
        assert result.exit_code == 1
        assert "ALARM, rollback" in result.stderr
        assert "expected at least 5 leaves, found 3" in result.stderr
    kept = [path.read_bytes() for path in reader.evidence]
    assert kept == [book.note(), smaller.note()]
    assert reader.size() == 5


def test_a_rollback_to_another_history_is_a_fork_if_the_old_tiles_are_still_there(
    reader: Reader, book: Logbook
) -> None:
    reader.shows(book)
    assert reader.look().exit_code == 0
    reader.place.pages["/log/checkpoint"] = forked(book, 1, 3).note()
    result = reader.look()
    assert result.exit_code == 1
    assert "ALARM, split view" in result.stderr
    assert check_alone(reader.evidence[-1], "--vkey", str(LOG)).returncode == 0


def test_a_log_cannot_take_back_what_was_seen_though_not_checked(
    reader: Reader, book: Logbook
) -> None:
    reader.shows(book)
    assert reader.look().exit_code == 0
    grown = book.copy().fill(8)
    withheld = list(grown.envelopes)[-1]
    reader.shows(grown)
    del reader.place.pages[f"/log/envelopes/{withheld}"]
    assert reader.look().exit_code == 1
    assert reader.size() == 5
    reader.shows(forked(book, 5, 9))
    result = reader.look()
    assert result.exit_code == 1
    assert "ALARM, split view" in result.stderr
    assert "a tree of 8 leaves" in result.stderr


def test_a_leaf_without_its_envelope_is_an_alarm(reader: Reader, book: Logbook) -> None:
    reader.shows(book)
    withheld = list(book.envelopes)[3]
    del reader.place.pages[f"/log/envelopes/{withheld}"]
    result = reader.look()
    assert result.exit_code == 1
    assert "ALARM, withheld: the log signed a tree and does not show all of it" in result.stderr
    assert withheld in result.stderr
    assert reader.size() == -1
    assert reader.remembered().next == 3
    reader.shows(book)
    result = reader.look()
    assert result.exit_code == 0
    assert "2 checked now" in result.stdout


@pytest.mark.parametrize("name", ["tile/0/000.p/5", "tile/entries/000.p/5"], ids=["tile", "bundle"])
def test_a_tile_that_is_not_there_is_an_alarm(reader: Reader, book: Logbook, name: str) -> None:
    reader.shows(book)
    del reader.place.pages[f"/log/{name}"]
    result = reader.look()
    assert result.exit_code == 1
    assert "ALARM, withheld" in result.stderr


@pytest.mark.parametrize("name", ["tile/0/000.p/5", "tile/entries/000.p/5", "envelope"])
def test_a_flipped_byte_is_an_alarm(reader: Reader, book: Logbook, name: str) -> None:
    reader.shows(book)
    path = f"/log/{name if name != 'envelope' else f'envelopes/{next(iter(book.envelopes))}'}"
    page = reader.place.pages[path]
    assert isinstance(page, bytes)
    reader.place.pages[path] = flip(page, len(page) // 2)
    result = reader.look()
    assert result.exit_code == 1
    assert "ALARM" in result.stderr
    assert reader.size() == -1


def test_an_entry_that_is_no_claim_is_an_alarm(reader: Reader, book: Logbook) -> None:
    book.bodies.append(b"a secret message")
    reader.shows(book)
    result = reader.look()
    assert result.exit_code == 1
    assert "ALARM" in result.stderr
    assert reader.size() == -1


def test_what_is_not_the_logs_word_is_refused_and_not_remembered(
    reader: Reader, book: Logbook
) -> None:
    reader.shows(book)
    stranger = note_over(book.leaves, signer=WITNESS)
    for note, kind in ((b"<html>", "malformed"), (stranger, "refused")):
        reader.place.pages["/log/checkpoint"] = note
        result = reader.look()
        assert result.exit_code == 1
        assert f"ALARM, {kind}" in result.stderr
    assert reader.size() == -1


def test_mallory_may_not_show_another_log_in_its_place(reader: Reader, book: Logbook) -> None:
    reader.shows(book)
    reader.place.pages["/log/checkpoint"] = note_over(book.leaves, origin="other.example.org")
    result = reader.look()
    assert result.exit_code == 1
    assert "another log's" in result.stderr


def test_a_log_with_two_faces_is_refused_by_the_witness_and_found_by_comparing(
    reader: Reader, book: Logbook
) -> None:
    """The split view: the same key signs one tree for the witness, and another for the reader."""
    store, other = MemoryStore(), forked(book, 2, 4)
    proof = prove_consistency(4, 5, Leaves(book.leaves))
    for body, status in (
        (render_add_checkpoint(0, [], other.note()), 200),
        (render_add_checkpoint(4, proof, book.note()), 422),
    ):
        answer = add_checkpoint(
            body, logs={ORIGIN: LOG}, store=store, key=WITNESS, name=WITNESS_NAME, time=1767225600
        )
        assert answer.status == status
    reader.shows(book)
    reader.place.pages[f"/w/{NAME}/checkpoint"] = store.notes[ORIGIN]
    result = reader.look("--witness-url", f"{reader.place.url}/w")
    assert result.exit_code == 1
    assert "ALARM, split view" in result.stderr
    assert reader.size() == -1
    proof_file = reader.evidence[-1]
    alone = check_alone(proof_file, "--vkey", str(LOG))
    assert (alone.returncode, alone.stderr) == (0, "")
    assert "a tree of 4 leaves" in alone.stdout
    assert WITNESS_NAME in reader.evidence[0].read_text()


def test_a_larger_fork_is_shown_by_the_tiles_of_the_mirror_that_has_it(
    reader: Reader, book: Logbook
) -> None:
    reader.shows(book)
    reader.place.pages |= pages(forked(book, 2, 300).files(), "/mirror")
    result = reader.look("--compare", f"{reader.place.url}/mirror/checkpoint")
    assert result.exit_code == 1
    assert "ALARM, split view" in result.stderr
    assert check_alone(reader.evidence[-1], "--vkey", str(LOG)).returncode == 0


def test_a_log_that_hides_its_newest_tree_is_a_doubt(reader: Reader, book: Logbook) -> None:
    larger = book.copy().fill(9)
    reader.shows(larger)
    reader.place.pages |= {
        "/log/checkpoint": book.note(),
        "/log/tile/0/000.p/5": larger.files(5)["tile/0/000.p/5"],
        "/log/tile/entries/000.p/5": larger.files(5)["tile/entries/000.p/5"],
    }
    note = reader.folder / "newer.checkpoint"
    note.write_bytes(larger.note())
    result = reader.look("--compare", note)
    assert result.exit_code == 3
    assert "shows a tree of 9 leaves" in result.stderr
    assert "the larger begins with the smaller" in result.stderr
    assert reader.size() == 5
    reader.shows(book)
    result = reader.look("--compare", note)
    assert "nobody has the tiles of the larger" in result.stderr
    copy = reader.folder / "copy"
    put(copy, larger.files())
    result = reader.look("--compare", copy / "checkpoint")
    assert result.exit_code == 3
    assert "the larger begins with the smaller" in result.stderr


def test_a_view_that_cannot_be_had_is_a_doubt_and_stops_nothing(
    reader: Reader, book: Logbook
) -> None:
    reader.shows(book)
    reader.place.pages["/far/checkpoint"] = note_over(numbered(3), signer=WITNESS)
    for where in (f"{reader.place.url}/w/checkpoint", f"{reader.place.url}/far/checkpoint", "none"):
        result = reader.look("--compare", where)
        assert result.exit_code == 3
        assert "Could not check: no view to compare with" in result.stderr
    assert reader.size() == 5


def test_a_larger_view_whose_neighbour_is_no_log_stays_a_doubt(
    reader: Reader, book: Logbook
) -> None:
    reader.shows(book)
    reader.place.pages["/far/checkpoint"] = book.copy().fill(9).note()
    reader.place.pages["/moved/checkpoint"] = (302, {"Location": "/far/checkpoint"}, b"")
    for place in ("far", "moved"):
        result = reader.look("--compare", f"{reader.place.url}/{place}/checkpoint")
        assert result.exit_code == 3
        assert "nobody has the tiles of the larger" in result.stderr


def test_evidence_goes_where_it_is_told(reader: Reader, book: Logbook) -> None:
    reader.shows(book)
    assert reader.look().exit_code == 0
    reader.shows(forked(book, 1, 5))
    folder = reader.folder / "court" / "files"
    assert reader.look("--evidence", folder).exit_code == 1
    assert len(list(folder.iterdir())) == 3
    assert reader.evidence == []


def test_an_alarm_is_said_though_its_evidence_cannot_be_written(
    reader: Reader, book: Logbook
) -> None:
    reader.shows(book)
    assert reader.look().exit_code == 0
    reader.shows(forked(book, 1, 5))
    (reader.folder / "file").write_bytes(b"")
    result = reader.look("--evidence", reader.folder / "file")
    assert result.exit_code == 3
    assert "ALARM, split view" in result.stderr
    assert "kept" not in result.stderr
    assert "cannot be used" in result.stderr


def test_a_tree_that_is_skipped_must_still_be_what_was_signed(
    reader: Reader, book: Logbook
) -> None:
    reader.shows(book)
    reader.place.pages["/log/tile/0/000.p/5"] = bytes(5 * 32)
    assert reader.look("--skip-history").exit_code == 1
    assert reader.size() == -1


def test_a_broken_cosignature_is_refused(reader: Reader, book: Logbook) -> None:
    reader.trust = witnessed(reader)
    reader.shows(book)
    wrong = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x03")
    note = cosigned(book.note(), (WITNESS_NAME, WITNESS))
    other = cosigned(book.copy().fill(6).note(), (WITNESS_NAME, wrong))
    assert other != note
    text, _, lines = note.decode().rpartition("\n\n")
    reader.place.pages["/log/checkpoint"] = f"{text}\n\n{lines[:-3]}AA\n".encode()
    assert reader.look().exit_code == 1


def test_silence_is_no_lie(reader: Reader, book: Logbook) -> None:
    assert reader.look().exit_code == 3
    reader.shows(book)
    digest = next(iter(book.envelopes))
    for path in ("checkpoint", "tile/0/000.p/5", "tile/entries/000.p/5", f"envelopes/{digest}"):
        reader.shows(book)
        reader.place.pages[f"/log/{path}"] = (503, {}, b"later")
        result = reader.look()
        assert result.exit_code == 3, path
        assert "Could not check" in result.stderr
        assert "ALARM" not in result.stderr
    assert reader.size() == -1


def test_a_log_that_is_gone_is_told_as_such(reader: Reader, book: Logbook) -> None:
    reader.shows(book)
    del reader.place.pages["/log/checkpoint"]
    (told,) = reader.tells()
    assert told["event"] == "unchecked"
    assert "no log is there" in told["reason"]


def test_views_that_agree_are_no_news(reader: Reader, book: Logbook) -> None:
    older = reader.folder / "from-bob.checkpoint"
    older.write_bytes(book.note(3))
    reader.shows(book)
    reader.place.pages[f"/w/{NAME}/checkpoint"] = book.note()
    result = reader.look("--compare", older, "--witness-url", f"{reader.place.url}/w/")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
