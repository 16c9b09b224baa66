"""An audit that is killed, or whose disk fails, goes on where it was and never draws again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assay.audit import Plan, Result
from assay.cli import audit_journal
from assay.cli.audit_journal import Journal, locked
from assay.cli.remember import FileMemory, LostStateError
from assay.digests import sha256_hex
from assay.errors import UnavailableError
from tests.assay.auditing import Office, office
from tests.assay.claims import floats
from tests.assay.views import ORIGIN


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    with office(tmp_path, monkeypatch) as made:
        for number in range(8):
            made.execute(number)
        made.publish()
        made.register()
        yield made


def test_killed_in_the_middle_it_goes_on_with_the_same_draw(desk: Office) -> None:
    asked: list[str] = []
    third, killed = threading.Event(), threading.Event()

    def hold(path: str) -> None:
        asked.append(path)
        if sum(item.endswith("/receipt") for item in asked) == 3:
            third.set()
            killed.wait(60)

    desk.site.before = hold
    command = [sys.executable, "-m", "assay.cli", *desk.arguments("--json", "--sample", 5)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        assert third.wait(60)
        process.send_signal(signal.SIGKILL)
    killed.set()
    desk.site.before = lambda path: None
    kept = desk.lines()
    assert [type(line) for line in kept] == [Plan, Result, Result]
    events = desk.events("--sample", 5)
    assert (events[0]["nonce"], events[0]["left"]) == (kept[0].nonce, 3)
    assert desk.lines()[:3] == kept
    assert desk.report()["totals"]["exact"] == 5


def test_a_line_without_its_end_is_cut_off(desk: Office) -> None:
    desk.audit("--all", "--key", desk.key)
    path = desk.state / "rounds" / "000001.jsonl"
    whole = path.read_bytes()
    for cut in (1, 40):  # in the last answer: the statement is sent again, and nothing is replayed
        path.write_bytes(whole[:-cut])
        desk.site.posted.clear()
        events = desk.events("--all", "--key", desk.key)
        assert [event["event"] for event in events] == ["round", "sent", "ended"]
        assert len(desk.site.posted) == 1
        assert path.read_bytes() == whole


def test_a_statement_that_is_said_again_is_the_same(desk: Office) -> None:
    """A crash between replay and line: the key signs the same bytes, so there is one claim."""
    desk.audit("--all", "--key", desk.key)
    path = desk.state / "rounds" / "000001.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0])
    first = [body for _, body in desk.site.posted]
    desk.site.posted.clear()
    desk.audit("--all", "--key", desk.key)
    assert [body for _, body in desk.site.posted] == first
    assert path.read_bytes() == b"".join(lines)


class Disk:
    """The module `os` on a disk where `call` fails from the first receipt on."""

    def __init__(self, call: str) -> None:
        self.call = call
        self.full = False

    def __getattr__(self, name: str) -> Any:
        return self.fail if self.full and name == self.call else getattr(os, name)

    def fail(self, *_: object) -> None:
        raise OSError(28, "No space left on device")

    def look(self, path: str) -> None:
        self.full = self.full or path.endswith("/receipt")


@pytest.mark.parametrize("call", ["fsync", "open"])  # the line is there, or it is not
def test_a_disk_that_fails_ends_the_audit_and_the_next_run_goes_on(
    desk: Office, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    disk = Disk(call)
    desk.site.before = disk.look
    with monkeypatch.context() as patch:
        patch.setattr(audit_journal, "os", disk)
        result = desk.audit("--all", "--key", desk.key)
    assert (result.exit_code, "cannot be used" in result.stderr) == (3, True)
    assert "No space left" in result.stderr
    assert desk.site.posted == []
    desk.site.before = lambda path: None
    assert desk.outcomes("--key", desk.key) == dict.fromkeys(range(8), "exact")
    assert len(desk.site.posted) == 8
    assert len(desk.report()["rounds"]) == 1


def test_evidence_that_cannot_be_kept_ends_the_audit(desk: Office) -> None:
    desk.execute(9, floats("y", 1.0, 1.0))
    desk.publish()
    desk.state.mkdir()
    (desk.state / "evidence").write_text("in the way")
    result = desk.audit("--all")
    assert (result.exit_code, "cannot be used" in result.stderr) == (3, True)
    assert [type(line) for line in desk.lines()] == [Plan, *[Result] * 8]


def test_two_audits_are_not_at_work_in_one_folder(desk: Office) -> None:
    with locked(desk.state):
        result = desk.audit("--all")
    assert (result.exit_code, "another audit is at work" in result.stderr) == (3, True)
    with pytest.raises(UnavailableError), locked(desk.state), locked(desk.state):
        pass


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda lines: [b'{"result":1}\n', *lines], "result: is not an object"),
        (lambda lines: [], "does not begin with a plan"),
        (lambda lines: lines[1:], "not begin with a plan"),
        (lambda lines: [lines[0], lines[0]], "tells what its plan did not draw"),
        (lambda lines: [lines[0], lines[1].replace(b'"index":', b'"index":9')], "did not draw"),
        (lambda lines: [b"{}\n"], "neither a plan"),
        (lambda lines: [lines[0].replace(ORIGIN.encode(), b"other.example.org")], "not ledger"),
        (lambda lines: [lines[0].replace(ORIGIN.encode(), b"no origin!")], "is no origin"),
    ],
)
def test_a_damaged_round_stops_the_audit(desk: Office, damage: Any, words: str) -> None:
    desk.audit("--all")
    path = desk.state / "rounds" / "000001.jsonl"
    path.write_bytes(b"".join(damage(path.read_bytes().splitlines(keepends=True))))
    result = desk.audit("--all")
    assert (result.exit_code, words in result.stderr) == (3, True), result.stderr
    assert "put it aside" in result.stderr


def test_a_round_that_is_missing_or_too_long_stops_the_audit(
    desk: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.audit("--all")
    rounds = desk.state / "rounds"
    (rounds / "notes.txt").write_text("mine")  # what is no round is left alone
    assert desk.audit("--all").exit_code == 0
    with monkeypatch.context() as patch:
        patch.setattr(audit_journal, "_MAX_BYTES", 100)
        assert "longer than 100 bytes" in desk.audit("--all").stderr
    (rounds / "000001.jsonl").rename(rounds / "000002.jsonl")
    assert "000001.jsonl is not" in desk.audit("--all").stderr
    monkeypatch.setattr(audit_journal, "_MAX_ROUNDS", 0)
    with pytest.raises(LostStateError, match="more than 0 rounds"):
        Journal(desk.folder / "other", ORIGIN).begin(plan())


def plan() -> Plan:
    return Plan(
        origin=ORIGIN,
        checkpoint="c",
        root="ab" * 32,
        nonce="cd" * 32,
        start=0,
        end=1,
        sample=None,
        executions=1,
        began_at="2026-01-01T00:00:00.000Z",
        drawn=(),
    )


def test_a_folder_that_cannot_be_made_is_exit_code_three(desk: Office) -> None:
    desk.state.write_text("in the way")
    result = desk.audit("--all")
    assert (result.exit_code, "cannot be used" in result.stderr) == (3, True)


def test_memory_that_changes_meanwhile_is_not_overwritten(
    desk: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FileMemory, "swap", lambda *_: False)
    result = desk.audit("--all")
    assert (result.exit_code, "another process changed" in result.stderr) == (3, True)


def test_a_damaged_memory_stops_the_audit(desk: Office) -> None:
    desk.audit("--all")
    (desk.state / sha256_hex(ORIGIN.encode())).write_bytes(b"damage")
    result = desk.audit("--all", "--retries", 3)
    assert (result.exit_code, "memory" in result.stderr) == (3, True)


def test_what_is_kept_is_read_as_it_was_written(desk: Office) -> None:
    desk.audit("--all", "--key", desk.key)
    one = Journal(desk.state, ORIGIN).rounds[0]
    results = [line for line in desk.lines() if isinstance(line, Result)]
    assert one.results == {line.index: line for line in results}
    assert (one.waiting, one.unsent, one.taken) == ([], [], 8)
