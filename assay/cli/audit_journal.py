"""What an audit keeps in its folder, and in which order: killed anywhere, it goes on.

`rounds/000001.jsonl`, one file a round, RFC 8785 JSON, one object a line: the plan, then results
and the registry's answers as they come. The order of writes:

1. The plan's file, whole, before anything is replayed: temporary file, fsync, rename, fsync of the
   folder. **The rename is the commit point of the draw**: nobody draws again until the lots suit.
2. `evidence/<execution>/`, file by file, before the line that names it.
3. A result, appended and synced: **the commit point of a replay.** Its signed statement is in it. A
   crash before it costs one replay, which gives the same result and, since signatures are
   deterministic, the same statement.
4. The statement is sent, then the answer is appended and synced. A crash between the two sends the
   kept statement again, and the registry answers that it has it.

A crash in an append leaves a line without its end, which the next start cuts off. After a failed
write nothing that the disk says is believed: `LostStateError`. `report.json` and `report.txt` are
made from the rounds, and can be made again.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from assay.audit import Audited, Plan, Result, Sent, report_json, report_text
from assay.audit.found import parse_record, record
from assay.canonical import canonical_json, parse_json
from assay.cli.files import make_folder, write_file
from assay.cli.remember import LostStateError
from assay.errors import AssayError, FormatError, UnavailableError

ROUNDS, EVIDENCE = "rounds", "evidence"
REPORT_JSON, REPORT_TEXT = "report.json", "report.txt"
_LOCK = "audit.lock"
_NAME = re.compile(r"[0-9]{6}\.jsonl")
_MAX_BYTES = 2**30
_MAX_ROUNDS = 999_999


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other audits out of the folder, which is made where it is absent.

    Raises:
        UnavailableError: another one is at work there.
        LostStateError: the folder cannot be written.
    """
    with _told_as_lost(folder):
        make_folder(folder)
        descriptor = os.open(folder / _LOCK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UnavailableError(f"another audit is at work in {folder}") from error
        yield
    finally:
        os.close(descriptor)


class Journal:
    """The rounds of one audit, in memory and in `folder`, which the caller has locked."""

    def __init__(self, folder: Path, origin: str) -> None:
        self.folder = folder
        self.rounds: list[Audited] = []
        with _told_as_lost(folder):
            make_folder(folder / ROUNDS)
            for path in sorted((folder / ROUNDS).iterdir()):
                if _NAME.fullmatch(path.name):
                    self.rounds.append(_read(path, origin, last=len(self.rounds) + 1))

    @property
    def end(self) -> int:
        """The first entry of which no round was drawn."""
        return max((one.plan.end for one in self.rounds), default=0)

    def begin(self, plan: Plan) -> Audited:
        """Keep a plan, which was not drawn before anything was looked at; durable.

        Raises:
            LostStateError: it cannot be written.
        """
        one = Audited(plan=plan)
        with _told_as_lost(self.folder):
            name = _name(len(self.rounds) + 1)
            write_file(self.folder / ROUNDS, name, _line(plan))
        self.rounds.append(one)
        return one

    def add(self, one: Audited, event: Result | Sent) -> None:
        """Append a result or an answer; durable when this returns.

        Raises:
            LostStateError: it cannot be written.
        """
        number = self.rounds.index(one) + 1
        with _told_as_lost(self.folder):
            path = self.folder / ROUNDS / _name(number)
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            with os.fdopen(descriptor, "wb") as file:
                file.write(_line(event))
                file.flush()
                os.fsync(file.fileno())
        _put(one, event)

    def keep(self, name: str, files: Mapping[str, bytes]) -> str:
        """Write evidence about the execution `name`; return its folder, durable.

        Raises:
            LostStateError: it cannot be written.
        """
        folder = self.folder / EVIDENCE / name
        with _told_as_lost(folder):
            make_folder(folder)
            for file, data in files.items():
                write_file(folder, file, data)
        return f"{EVIDENCE}/{name}"

    def report(self) -> None:
        """Write the report in both forms.

        Raises:
            LostStateError: it cannot be written.
        """
        with _told_as_lost(self.folder):
            write_file(self.folder, REPORT_JSON, canonical_json(report_json(self.rounds)))
            write_file(self.folder, REPORT_TEXT, report_text(self.rounds).encode("utf-8"))


def _name(number: int) -> str:
    if number > _MAX_ROUNDS:
        raise FormatError(f"more than {_MAX_ROUNDS} rounds: begin in another folder")
    return f"{number:06}.jsonl"


def _line(event: Plan | Result | Sent) -> bytes:
    return canonical_json(record(event)) + b"\n"


def _put(one: Audited, event: Result | Sent) -> None:
    if isinstance(event, Result):
        one.results[event.index] = event
    else:
        one.sent[event.index] = event


def _read(path: Path, origin: str, *, last: int) -> Audited:
    """Read a round; a line without its end is cut off the file."""
    if path.name != _name(last):
        raise FormatError(f"{path.name} is there, and {_name(last)} is not")
    if path.stat().st_size > _MAX_BYTES:
        raise FormatError(f"{path.name} is longer than {_MAX_BYTES} bytes")
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    events = [
        parse_record(parse_json(line, max_bytes=_MAX_BYTES, path=path.name))
        for line in data[:whole].splitlines()
    ]
    if not events or not isinstance(events[0], Plan):
        raise FormatError(f"{path.name} does not begin with a plan")
    one = Audited(plan=events[0])
    if one.plan.origin != origin:
        raise FormatError(f"{path.name} is about the log {one.plan.origin}, not {origin}")
    drawn = {item.index for item in one.plan.drawn}
    for event in events[1:]:
        if isinstance(event, Plan) or event.index not in drawn:
            raise FormatError(f"{path.name} tells what its plan did not draw")
        _put(one, event)
    if whole < len(data):
        os.truncate(path, whole)
    return one


@contextmanager
def _told_as_lost(path: Path) -> Iterator[None]:
    try:
        yield
    except (AssayError, OSError) as error:
        raise LostStateError(
            f"what the audit keeps in {path} cannot be used: {error}; "
            "put it aside to start anew, and ask why"
        ) from error
