"""`assay fsck` recomputes a log, wherever it lies, and names the first thing that is not right."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from assay.cli import app
from assay.note import vkey_for
from assay.policy import log_key, render_trusted_root
from tests.assay.logbook import TRUSTED_ROOT, Logbook, cosigned, pages, pinned, put
from tests.assay.stand import Stand, stand
from tests.assay.views import LOG, ORIGIN, SIGNER, note_over
from tests.assay.watching import WITNESS, WITNESS_NAME, flip

BOOK = Logbook().fill(300)
FILES = BOOK.files(10)
OLD = ("tile/0/000.p/10", "tile/entries/000.p/10")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["fsck", *map(str, arguments)])


def check(where: object, *more: object) -> Result:
    return run(where, "--log", LOG, *more)


def told(where: object, *more: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(check(where, "--json", *more).stdout)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return put(tmp_path / "log", FILES)


@pytest.fixture
def place() -> Iterator[Stand]:
    with stand({**pages(FILES)}) as server:
        yield server


@pytest.fixture(autouse=True)
def nothing_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("ASSAY_TRUST", raising=False)


def test_a_whole_log_is_told_as_such_wherever_it_lies(folder: Path, place: Stand) -> None:
    for where in (folder, place.url, f"{place.url}/log"):
        result = check(where)
        assert (result.exit_code, result.stderr) == (0, ""), result.output
        assert f"Whole: 300 entries of {ORIGIN}" in result.stdout
    assert "2 partial tiles of other sizes, 0 files beside" in check(folder).stdout


def test_the_verdict_for_programs(folder: Path) -> None:
    found = told(folder)
    assert (found["verdict"], found["origin"], found["size"]) == ("whole", ORIGIN, 300)
    assert (found["quorum"], found["witnesses"], found["surplus"]) == (True, [], 0)
    assert [step["number"] for step in found["steps"]] == [1, 2, 3, 4]


def test_an_empty_log_is_whole(tmp_path: Path) -> None:
    assert check(put(tmp_path / "empty", Logbook().files())).exit_code == 0


def test_what_is_pinned_says_who_the_log_is(folder: Path, tmp_path: Path) -> None:
    vkey = vkey_for(WITNESS_NAME, WITNESS.public_key(), 4)
    trust = tuple(pinned(tmp_path / "pins", f"witness w {vkey}", "group all all w", quorum="all"))
    result = run(folder, *trust)
    assert result.exit_code == 0
    assert "witnessed by 0 of 1" in result.stdout
    assert "no quorum: the policy asks for all" in result.stdout
    put(folder, {"checkpoint": cosigned(BOOK.note(), (WITNESS_NAME, WITNESS))})
    result = run(folder, *trust)
    assert "witnessed by 1 of 1" in result.stdout
    assert "no quorum" not in result.stdout
    found = json.loads(check(folder, "--json", *trust[2:]).stdout)
    assert found["witnesses"] == [{"name": WITNESS_NAME, "time": 1767225600}]


def test_questions_that_cannot_be_asked(folder: Path, tmp_path: Path) -> None:
    witness = vkey_for(WITNESS_NAME, WITNESS.public_key(), 4)
    other = vkey_for("other.example.org", SIGNER.public_key(), 1)
    strange = vkey_for(ORIGIN, WITNESS.public_key(), 1)
    pinned(tmp_path / "pins")
    root, policy = tmp_path / "pins" / "trusted_root.json", tmp_path / "pins" / "policy.txt"
    for arguments, words in (
        ((folder,), "does not exist; `assay trust init"),
        ((folder, "--log", "nonsense"), "--log: a vkey is"),
        ((folder, "--log", witness), "is no key of a log"),
        ((folder, "--log", LOG, "--origin", "other.example.org"), "is not the key of the log"),
        ((folder, "--log", strange, "--policy", policy), "the policy does not name the log"),
        (
            (folder, "--origin", "b.example.org", "--trusted-root", root, "--policy", policy),
            "does not name the log b.example.org",
        ),
        ((folder, "--log", LOG, "--origin", "No Name"), "an origin is"),
        ((tmp_path / "nothing", "--log", LOG), "neither a folder nor"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2, words
        assert words in result.stderr
    assert run(folder, "--log", other).exit_code == 1


def test_silence_is_no_damage(place: Stand, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for where in (tmp_path / "empty", f"{place.url}/nothing", "http://127.0.0.1:1"):
        result = check(where)
        assert result.exit_code == 3
        assert "Could not check" in result.stderr
    digest = list(BOOK.envelopes)[7]
    for path in ("tile/0/000", "tile/entries/000", f"envelopes/{digest}"):
        place.pages = {**pages(FILES), f"/log/{path}": (503, {}, b"later")}
        assert check(place.url).exit_code == 3


@pytest.mark.parametrize(
    "name",
    [
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/44",
        f"envelopes/{list(BOOK.envelopes)[299]}",
        *OLD,
    ],
)
def test_a_flipped_bit_a_surplus_byte_or_a_lost_file_is_found(folder: Path, name: str) -> None:
    for bent in (flip(FILES[name]), FILES[name] + b"\x00", FILES[name] * 99, FILES[name][:-1]):
        put(folder, {name: bent})
        result = check(folder)
        assert result.exit_code == 1, result.output
        assert name in result.stderr or "entry 299" in result.stderr
    (folder / name).unlink()
    result = check(folder)
    assert (result.exit_code, "missing" in result.stderr) == (
        (0, False) if name in OLD else (1, True)
    )


def served(change: Callable[[dict[str, bytes]], object]) -> Result:
    files = dict(FILES)
    change(files)
    with stand({**pages(files)}) as server:
        return check(server.url, "--jobs", 3)


def test_mallory_may_not_withhold_an_envelope() -> None:
    names = [f"envelopes/{digest}" for digest in BOOK.envelopes]
    result = served(lambda files: (files.pop(names[250]), files.pop(names[40])))
    assert result.exit_code == 1
    assert "entry 40: " in result.stderr
    assert names[40] in result.stderr


def test_mallory_may_not_serve_the_envelope_of_another_claim() -> None:
    names = [f"envelopes/{digest}" for digest in BOOK.envelopes]
    result = served(lambda files: files.update({names[3]: FILES[names[4]]}))
    assert result.exit_code == 1
    assert "entry 3: the envelope is another claim's" in result.stderr


def test_mallory_may_not_sign_for_the_log() -> None:
    note = note_over(BOOK.leaves, signer=WITNESS)
    result = served(lambda files: files.update(checkpoint=note))
    assert result.exit_code == 1
    assert "no known key signed the note" in result.stderr


def test_mallory_may_not_drop_a_bundle_or_bend_a_tile() -> None:
    result = served(lambda files: files.pop("tile/entries/000"))
    assert (result.exit_code, "tile/entries/000" in result.stderr) == (1, True)
    bent = flip(FILES["tile/0/000"], 0)
    result = served(lambda files: files.update({"tile/0/000": bent}))
    assert (result.exit_code, "tile/0/000 is not what the tile above" in result.stderr) == (1, True)


def test_the_first_damage_is_named_though_a_later_one_is_found_sooner() -> None:
    digest = list(BOOK.envelopes)[255]
    result = served(
        lambda files: (files.pop(f"envelopes/{digest}"), files.pop("tile/entries/001.p/44"))
    )
    assert "entry 255: " in result.stderr


def test_a_bar_is_drawn_on_a_terminal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "entries" in check(folder).stderr
    assert "entries" not in check(folder, "--json").stderr


def test_what_nobody_signed_is_named_and_fails_if_asked_for(folder: Path) -> None:
    digest = "ab" * 32
    later = BOOK.copy().fill(600).files()
    surplus = {
        "notes.txt": b"x",
        "tile/0/000.bak": b"x",
        "tile/0/1": b"x",
        "tile/0/002.p/88": later["tile/0/002.p/88"],
        "tile/5/000": b"x",
        f"envelopes/{digest}": b"x",
    }
    put(folder, surplus)
    (folder / "link").symlink_to(folder, target_is_directory=True)
    result = check(folder)
    assert result.exit_code == 0
    names = ", ".join(sorted((*surplus, "link")))
    assert f"7 files that nobody signed: {names}" in result.stdout
    assert told(folder)["surplus"] == 7
    result = check(folder, "--strict")
    assert (result.exit_code, names in result.stderr) == (1, True)


def test_only_the_first_surplus_names_are_told(folder: Path) -> None:
    put(folder, {f"surplus-{number:02}": b"" for number in range(25)})
    (note,) = told(folder)["notes"]
    assert note.startswith("25 files that nobody signed: surplus-")
    assert note.count("surplus-") == 20


def test_files_ahead_of_the_checkpoint_begin_with_it_or_are_damage(folder: Path) -> None:
    later = BOOK.copy().fill(400).files(320)
    ahead = {name: later[name] for name in ("tile/0/001.p/144", "tile/entries/001.p/64")}
    put(folder, ahead)
    assert "4 partial tiles of other sizes, 0 files beside" in check(folder, "--strict").stdout
    for name in ahead:
        put(folder, {**ahead, name: flip(ahead[name], 3)})
        result = check(folder)
        assert result.exit_code == 1
        assert f"{name}" in result.stderr


def test_a_full_tile_may_stand_in_for_the_partial_one(folder: Path) -> None:
    later = BOOK.copy().fill(512).files()
    for name in ("tile/0/001", "tile/entries/001"):
        (folder / f"{name}.p" / "44").unlink()
        put(folder, {name: later[name]})
    assert check(folder).exit_code == 0


def test_what_a_mirror_keeps_for_itself_is_no_surplus(folder: Path) -> None:
    put(folder, {".lock": b"", ".new/ab": b"half", ".target": BOOK.note(10)})
    assert check(folder, "--strict").exit_code == 0
    put(folder, {".target": note_over(BOOK.leaves, signer=WITNESS)})
    assert check(folder).exit_code == 1


def test_a_tree_that_fits_itself_and_not_the_checkpoint_is_told_as_such(folder: Path) -> None:
    put(folder, {"checkpoint": note_over(Logbook().fill(300, "w").leaves)})
    result = check(folder)
    assert result.exit_code == 1
    assert "all of them fit each other" in result.stderr


def test_pins_of_another_log_are_damage(folder: Path) -> None:
    place = ".well-known/assay"
    other = vkey_for("other.example.org", SIGNER.public_key(), 1)
    good = {
        f"{place}/trusted_root.json": TRUSTED_ROOT,
        f"{place}/witness-policy.txt": b"quorum none\n",
        f"{place}/keys.json": b'{"keys":[]}',
    }
    put(folder, good)
    assert check(folder, "--strict").exit_code == 0
    root = TRUSTED_ROOT.replace(b"ledger.example.org", b"other1.example.org")
    for name, data in (
        ("trusted_root.json", root),
        ("trusted_root.json", b'{"mediaType":"","tlogs":[]}'),
        ("witness-policy.txt", f"log {other}\nquorum none\n".encode()),
        ("keys.json", b"{}"),
    ):
        put(folder, {**good, f"{place}/{name}": data})
        result = check(folder)
        assert result.exit_code == 1
        assert name in result.stderr


def test_a_trusted_root_of_another_log_is_damage(folder: Path, tmp_path: Path) -> None:
    public = SIGNER.public_key()
    other = log_key("https://other.example.org/log", public, "2026-01-01T00:00:00Z")
    put(folder, {".well-known/assay/trusted_root.json": render_trusted_root([other])})
    assert "the trusted root does not name the log" in check(folder).stderr


def test_a_folder_that_cannot_be_listed_is_no_damage(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = os.scandir

    def refuse(path: Path) -> object:
        if path.name == "tile":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(os, "scandir", refuse)
    result = check(folder)
    assert (result.exit_code, "Permission denied" in result.stderr) == (3, True)


def test_empty_folders_are_no_surplus(folder: Path) -> None:
    (folder / "tile" / "2").mkdir()
    assert check(folder, "--strict").exit_code == 0
