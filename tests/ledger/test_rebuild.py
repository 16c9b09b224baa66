"""`ledger_rebuild`: what was lost is written again from the rows, what is wrong stays visible."""

from __future__ import annotations

import errno
import io
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from pytest_django import Settings
from typer.testing import CliRunner

from assay.checkpoint import Checkpoint as Tree, parse_checkpoint
from assay.cli import app
from assay.errors import MissingError
from assay.note import Note, VKey, open_note, parse_note, render, sign_line
from ledger import rebuild as rebuilding, services as ledger
from ledger.disk import Descriptor, Disk
from ledger.errors import LogDamagedError
from ledger.keys import load_log_key
from ledger.models import Checkpoint, Entry, Log
from ledger.services.rebuild import rebuild
from ledger.storage import FolderStorage
from tests.flush import triggers_off
from tests.ledger.builders import (
    Claim,
    append_all,
    append_many,
    claim,
    sequence,
    sequencer,
    signed,
    verified,
    whole,
)
from tests.ledger.s3 import Bucket, give_credentials, keep_logs_in, new_bucket, object_store
from tests.ledger.shards import sequence_here
from tests.ledger.succession import follow_on
from tests.ledger.witness import Witness


@pytest.fixture
def folder(settings: Settings) -> Path:
    path: Path = settings.LEDGER_DIR
    return path


@pytest.fixture
def written(opened: None, wanda: Witness) -> None:
    """A witnessed log of 520 entries with several checkpoints, some on full tiles."""
    append_all(range(3))
    sequence()
    append_many(range(3, 256))
    sequence()
    append_many(range(256, 520))
    sequence()


def again(**options: object) -> str:
    answer = io.StringIO()
    call_command("ledger_rebuild", stdout=answer, **options)
    return answer.getvalue()


def files_in(folder: Path) -> dict[str, bytes]:
    storage = FolderStorage(folder)
    return {path: storage.get(path) for path in storage.paths()}


def operator(sql: str, *params: bytes | str) -> None:
    """Change rows as an operator with a database shell would."""
    with triggers_off(), connection.cursor() as cursor:
        cursor.execute(sql, params or None)


# ------------------------------------------------------------------ what was lost


def test_a_lost_disk_is_written_again_byte_for_byte(written: None, folder: Path) -> None:
    before = files_in(folder)
    shutil.rmtree(folder)
    assert again() == "The files of the log localhost are there, up to 520 entries.\n"
    assert files_in(folder) == before
    assert whole() == 520


def test_a_lost_file_is_written_again_and_nothing_else_is_touched(
    written: None, folder: Path
) -> None:
    before = files_in(folder)
    stamps = {path: (folder / path).stat() for path in before}
    lost = ("tile/0/000.p/3", "tile/entries/001", "tile/1/000.p/1")
    for path in lost:
        (folder / path).unlink()
    again()
    assert files_in(folder) == before
    touched = [path for path in before if (folder / path).stat().st_ino != stamps[path].st_ino]
    assert set(touched) <= set(lost)
    assert whole() == 520


def test_a_damaged_file_stops_it_and_the_checkpoint_stays_away(written: None, folder: Path) -> None:
    (folder / "checkpoint").unlink()
    (folder / "tile/0/001").write_bytes(bytes(8192))
    with pytest.raises(CommandError, match="tile/0/001 exists with other bytes") as caught:
        again()
    assert caught.value.returncode == 1
    assert not (folder / "checkpoint").exists()
    (folder / "tile/0/001").unlink()
    again()
    assert whole() == 520


def test_rows_that_do_not_give_the_signed_root_write_nothing(written: None, folder: Path) -> None:
    shutil.rmtree(folder)
    forged = claim(77, by="mallory").envelope.signature
    operator("UPDATE ledger_entry SET signature = %s WHERE index = 1", forged)
    with pytest.raises(CommandError, match="Checkpoint 3: the entries give another root"):
        again()
    assert not folder.exists()


def test_a_long_way_between_two_checkpoints_is_confirmed_before_its_first_file(
    written: None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes in parts, and the forged entry is in the last one."""
    monkeypatch.setattr(rebuilding, "PART", 256)
    before = files_in(folder)
    shutil.rmtree(folder)
    again()
    assert files_in(folder) == before
    (folder / "tile/0/001").unlink()
    (folder / "tile/entries/001").unlink()
    forged = claim(77, by="mallory").envelope.signature
    operator("UPDATE ledger_entry SET signature = %s WHERE index = 515", forged)
    with pytest.raises(CommandError, match="Checkpoint 520: the entries give another root"):
        again()
    assert not (folder / "tile/0/001").exists()


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("UPDATE ledger_checkpoint SET note = 'x' WHERE size = 256", "Checkpoint 256: "),
        ("UPDATE ledger_cosignature SET line = line || 'A'", r"Checkpoint \d+: not base64"),
        ("UPDATE ledger_checkpoint SET root = 'x' WHERE size = 0", "Checkpoint 0: "),
        (
            """DELETE FROM ledger_subject s USING ledger_entry e
                WHERE s.entry_id = e.id AND e.index = 4;
            DELETE FROM ledger_entry WHERE index = 4""",
            "Rows are missing between entries 3 and 256",
        ),
    ],
)
def test_damaged_rows_stop_it(written: None, folder: Path, sql: str, found: str) -> None:
    (folder / "checkpoint").unlink()
    operator(sql)
    with pytest.raises(CommandError, match=found):
        again()
    assert not (folder / "checkpoint").exists()


@pytest.mark.parametrize(
    ("answer", "found"),
    [(bytes(96), "the files give another root"), (None, "the log holds no tile/0/000")],
)
def test_a_storage_that_lies_is_found_before_the_checkpoint(
    written: None, folder: Path, answer: bytes | None, found: str
) -> None:
    class Rotten(FolderStorage):
        def get(self, path: str) -> bytes:
            if not path.startswith("tile/0/000"):
                return super().get(path)
            if answer is None:
                raise MissingError(f"the log holds no {path}")
            return answer

    with pytest.raises(LogDamagedError, match=f"Checkpoint 3: {found}"):
        rebuild(Log.objects.get(), Rotten(folder), lambda done, size: None)


def test_a_disk_that_fails_ends_it_and_it_goes_on_from_there(
    written: None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files_in(folder)
    shutil.rmtree(folder)

    def full(self: Disk, folder: Descriptor, name: str, data: bytes) -> Descriptor:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patched:
        patched.setattr(Disk, "write_new", full)
        with pytest.raises(CommandError, match=r"storage fails: .*no space left") as caught:
            again()
    assert caught.value.returncode == 3
    again()
    assert files_in(folder) == before


# ------------------------------------------------------------------ the checkpoint


def test_a_page_that_shows_the_newest_checkpoint_is_left_alone(written: None, folder: Path) -> None:
    before = (folder / "checkpoint").stat()
    again()
    assert (folder / "checkpoint").stat().st_ino == before.st_ino


def no_note(page: Path) -> None:
    page.write_bytes(b"no note")


def a_foreign_signature(page: Path) -> None:
    text = parse_note(page.read_bytes()).text
    line = sign_line(text, "localhost", Ed25519PrivateKey.from_private_bytes(bytes(32)))
    page.write_bytes(render(Note(text=text, lines=(line,))))


def without_the_witness(page: Path) -> None:
    lines = page.read_bytes().splitlines(keepends=True)
    page.write_bytes(b"".join(lines[:-1]))


def an_older_one(page: Path) -> None:
    page.write_bytes(bytes(Checkpoint.objects.get(size=3).note))


@pytest.mark.parametrize(
    "damage", [no_note, a_foreign_signature, without_the_witness, an_older_one, Path.unlink]
)
def test_every_other_page_is_replaced_by_the_newest_one_with_all_lines(
    written: None, folder: Path, damage: Callable[[Path], None]
) -> None:
    before = (folder / "checkpoint").read_bytes()
    damage(folder / "checkpoint")
    again()
    assert (folder / "checkpoint").read_bytes() == before


def test_a_database_older_than_the_page_is_told_and_the_page_stays(
    written: None, folder: Path, settings: Settings
) -> None:
    """Somebody restored a backup: going on from here would fork the log."""
    text = Tree(origin="localhost", size=700, root=bytes(32)).text
    line = sign_line(text, "localhost", load_log_key(settings.LEDGER_KEY))
    newer = render(Note(text=text, lines=(line,)))
    (folder / "checkpoint").write_bytes(newer)
    (folder / "tile/0/000").unlink()
    with pytest.raises(CommandError, match="older than the log"):
        again()
    assert (folder / "checkpoint").read_bytes() == newer
    assert not (folder / "tile/0/000").exists()


def test_a_page_whose_row_a_crash_forgot_does_not_go_back(written: None, folder: Path) -> None:
    before = files_in(folder)
    operator("UPDATE ledger_checkpoint SET published_at = NULL WHERE size > 3")
    (folder / "tile/0/000").unlink()
    assert "up to 520 entries" in again()
    assert files_in(folder) == before


def test_a_checkpoint_that_nobody_saw_is_not_shown(written: None, folder: Path) -> None:
    """It was signed, and the sequencer died before it published."""
    operator("UPDATE ledger_checkpoint SET published_at = NULL WHERE size > 3")
    shutil.rmtree(folder)
    assert "up to 3 entries" in again()
    assert (folder / "tile/0/001").exists()
    sequencer()
    assert whole() == 520


def test_a_log_that_never_published_gets_no_page(opened: None, folder: Path) -> None:
    operator("UPDATE ledger_checkpoint SET published_at = NULL")
    (folder / "checkpoint").unlink()
    assert "up to 0 entries" in again()
    assert not (folder / "checkpoint").exists()


# ------------------------------------------------------------------ beside a sequencer


def test_what_the_log_grows_meanwhile_is_written_too(written: None, tmp_path: Path) -> None:
    grown: list[int] = []

    def grow_once(done: int, size: int) -> None:
        if done == 520 and not grown:
            grown.append(done)
            append_all(range(520, 525))
            sequence()

    target = FolderStorage(tmp_path / "elsewhere")
    assert rebuild(Log.objects.get(), target, grow_once) == 525
    page = open_note(target.get("checkpoint"), [VKey.parse(ledger.log_vkey())])
    assert parse_checkpoint(page.text).size == 525


def test_a_leader_that_sweeps_its_temporaries_away_does_not_stop_it(
    written: None, folder: Path
) -> None:
    class Swept(Disk):
        swept = 0

        def link(self, source: Descriptor, temporary: str, folder_: Descriptor, name: str) -> None:
            if not self.swept:
                Swept.swept = FolderStorage(folder).sweep()
            super().link(source, temporary, folder_, name)

    before = files_in(folder)
    (folder / "tile/0/001").unlink()
    rebuild(Log.objects.get(), FolderStorage(folder, Swept()), lambda done, size: None)
    assert Swept.swept == 1
    assert files_in(folder) == before


def test_a_sequencer_goes_on_in_what_was_written_again(written: None, folder: Path) -> None:
    shutil.rmtree(folder)
    again()
    entry = claim(1000).append()
    sequence()
    assert whole() == 521
    assert verified(entry, 1000).index == 520


# ------------------------------------------------------------------ to another place


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with object_store() as address:
        yield address


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    give_credentials(monkeypatch)
    return new_bucket(endpoint)


def test_a_log_moves_into_a_bucket_and_goes_on_there(
    written: None, folder: Path, settings: Settings, bucket: Bucket
) -> None:
    before = files_in(folder)
    keep_logs_in(settings, bucket)
    again()
    assert bucket.files() == before
    assert whole() == 520
    entry = claim(1000).append()
    sequence()
    assert whole() == 521
    assert verified(entry, 1000).index == 520
    bucket.write("logs/one/surplus", b"")
    with pytest.raises(LogDamagedError, match="surplus is stored"):
        whole()
    bucket.remove("logs/one/surplus")
    bucket.remove("logs/one/tile/0/001")
    again()
    settings.LEDGER_STORAGE = ""
    assert "up to 521 entries" in again()  # and back
    assert whole() == 521


def test_every_log_of_the_installation_is_written_again(
    opened: None, folder: Path, settings: Settings
) -> None:
    append_all(range(2))
    second = follow_on(settings)
    append_all(range(2, 5))
    sequence_here()
    before = files_in(folder)
    shutil.rmtree(folder)
    assert again(log="localhost") == "The files of the log localhost are there, up to 2 entries.\n"
    assert not (folder / second.place).exists()
    assert len(again().splitlines()) == 2
    assert files_in(folder) == before
    with pytest.raises(CommandError, match=r"no log c\.example"):
        again(log="c.example")


# ------------------------------------------------------------------ a static copy


def also_signed_by(earlier: Claim, name: str) -> Claim:
    return signed(earlier.statement, by=name)


def test_a_static_copy_has_the_files_and_the_envelopes_as_the_site_serves_them(
    opened: None, folder: Path, tmp_path: Path, client: Client
) -> None:
    append_all(range(3))
    also_signed_by(claim(1), "bob").append()
    sequence()
    copy = tmp_path / "www" / "log"
    assert again(to=copy) == "The files of the log localhost are there, up to 4 entries.\n"
    found = files_in(copy)
    names = {f"envelopes/{bytes(entry.payload_id).hex()}" for entry in Entry.objects.all()}
    assert len(names) == 3
    assert set(found) == {*files_in(folder), *names}
    for path, data in found.items():
        assert client.get(f"/log/{path}", headers={"host": "localhost"}).content == data
    assert whole() == 4  # the log's own folder is as it was
    told = CliRunner().invoke(app, ["fsck", str(copy), "--strict", "--log", ledger.log_vkey()])
    assert told.exit_code == 0, told.output


def test_a_static_copy_is_brought_up_to_date(
    opened: None, tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another key signs a payload that is there already, and an envelope was damaged."""
    monkeypatch.setattr("ledger.services.rebuild.ENVELOPES", 2)
    append_all(range(3))
    sequence()
    copy = tmp_path / "copy"
    again(to=copy)
    before = files_in(copy)
    both = claim(0).envelope.pae_sha256.hex()
    (copy / "envelopes" / claim(2).envelope.pae_sha256.hex()).write_bytes(b"damaged")
    also_signed_by(claim(0), "bob").append()
    sequence()
    again(to=copy)
    after = files_in(copy)
    served = client.get(f"/log/envelopes/{both}", headers={"host": "localhost"}).content
    assert after[f"envelopes/{both}"] == served != before[f"envelopes/{both}"]
    kept = {path for path in before if path not in ("checkpoint", f"envelopes/{both}")}
    assert all(after[path] == before[path] for path in kept)


def test_a_static_copy_is_of_the_current_log_or_of_the_one_that_is_named(
    opened: None, tmp_path: Path, settings: Settings
) -> None:
    append_all(range(2))
    follow_on(settings)
    again(to=tmp_path / "current")
    again(to=tmp_path / "old", log="localhost")
    assert b"b.example.org\n0\n" in (tmp_path / "current/checkpoint").read_bytes()
    assert b"localhost\n2\n" in (tmp_path / "old/checkpoint").read_bytes()
    with pytest.raises(CommandError, match=r"c\.example"):
        again(to=tmp_path / "none", log="c.example")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("where", ["", "copy"])
def test_a_copy_inside_the_log_itself_is_refused(opened: None, folder: Path, where: str) -> None:
    with pytest.raises(CommandError, match="name another one") as caught:
        again(to=folder / where)
    assert caught.value.returncode == 2
    assert sorted(files_in(folder)) == ["checkpoint"]


def test_a_copy_over_another_log_is_refused_before_its_first_file(
    opened: None, tmp_path: Path, settings: Settings
) -> None:
    append_all(range(2))
    follow_on(settings)
    append_all(range(2, 5))
    sequence_here()
    again(to=tmp_path / "copy", log="localhost")
    before = files_in(tmp_path / "copy")
    with pytest.raises(CommandError, match=r"log localhost is there, not b\.example\.org"):
        again(to=tmp_path / "copy")
    assert files_in(tmp_path / "copy") == before


def test_files_go_together(written: None, folder: Path) -> None:
    """One call for each part: each folder is synced once in it."""

    calls: list[int] = []

    class Counted(FolderStorage):
        def put_all(self, files: Sequence[tuple[str, bytes]]) -> None:
            calls.append(len(files))
            super().put_all(files)

    rebuild(Log.objects.get(), Counted(folder), lambda done, size: None)
    assert len(calls) == Checkpoint.objects.exclude(size=0).count()
