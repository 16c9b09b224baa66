"""One round of a monitor: what it asks, in which order, and what it remembers of the answers.

1. What is remembered is read, then the other views are fetched, then the log's checkpoint. In this
   order an honest log is never behind what it is compared with.
2. The log signed the checkpoint. Witnesses are counted, and their lines verified.
3. The tree begins with each remembered one (`monitor.compare`, from the tiles). A smaller tree is a
   rollback, and a fork too if the tiles of the larger one show it.
4. The tree and each other view are one history. A view that is ahead, or cannot be had, is a doubt.
5. The tree is noted as seen, then each new entry is checked (`logdata.read_entries`): bundle, leaf,
   envelope, signature, statement.
6. The tree is remembered as checked (`remember.FileMemory.swap`).

What cannot be had ends the round without a verdict (`UnavailableError`) and changes nothing. What
is answered to be absent (`MissingError`) is another matter: a log writes envelopes, bundles and
tiles before it publishes the checkpoint over them. The caller asks again after a pause, since
caches may remember an absence for a moment, and then says that they are withheld.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Protocol

from assay.checkpoint import VerifiedCheckpoint
from assay.cli.files import read_file
from assay.cli.remember import FileMemory, Memory
from assay.cli.source import Source, open_source
from assay.errors import (
    AssayError,
    FormatError,
    MissingError,
    MisuseError,
    UnavailableError,
    VerificationError,
)
from assay.fetch import fetch
from assay.limits import LIMITS
from assay.logdata import check_tree, read_entries
from assay.monitor import Finding, ForkError, Watch, compare
from assay.note import VKey
from assay.policy import NO_QUORUM, TlogPolicy, verify_checkpoint
from assay.tiles import Tile, TileReader, TileSource

CHUNK = 4096


class RollbackError(VerificationError):
    """The log shows a smaller tree than it signed before; both signed notes say so."""

    def __init__(self, origin: str, first: VerifiedCheckpoint, second: VerifiedCheckpoint) -> None:
        super().__init__(
            f"{origin} rolled back",
            expected=f"at least {first.checkpoint.size} leaves",
            found=str(second.checkpoint.size),
        )
        self.first = first.note
        self.second = second.note


class StoppedError(Exception):
    """The monitor was told to end; what was checked is remembered."""


class Teller(Protocol):
    """Who is told what a round finds, as it finds it."""

    def first_contact(self, view: VerifiedCheckpoint) -> None:
        """Nothing was remembered: this tree is trusted because it is the first."""

    def finding(self, finding: Finding) -> None:
        """A statement that is watched for; told again if the process dies before the next chunk."""

    def skipped(self, start: int, end: int) -> None:
        """The entries `start`…`end`-1 were not checked, because that was asked for."""

    def checked(self, view: VerifiedCheckpoint, start: int, *, quorum: bool) -> None:
        """All entries from `start` on are checked and the tree is remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What to follow: where, under which key and policy, compared with which other views."""

    where: str
    origin: str
    log: VKey
    policy: TlogPolicy
    watch: Watch
    views: tuple[str, ...] = ()
    require_quorum: bool = False


class Start(Enum):
    """Which entries the first round checks; every later one checks what is new."""

    RESUME = "those that were not checked"
    BEGINNING = "all"
    PRESENT = "none"


class SteadySource:
    """A source that stays silent once it was: later answers of that round would mislead.

    A reader that cannot have a partial tile asks for the full one. If the first request died on the
    way, the honest 404 to the second would pass for a tile that is withheld.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._silence: UnavailableError | None = None

    def tile(self, tile: Tile) -> bytes:
        """Return the bytes of `tile`."""
        return self._ask(lambda: self._source.tile(tile))

    def envelope(self, pae_sha256: bytes) -> bytes:
        """Return the envelope stored under this 32-byte digest."""
        return self._ask(lambda: self._source.envelope(pae_sha256))

    def _ask(self, question: Callable[[], bytes]) -> bytes:
        if self._silence is not None:
            raise self._silence
        try:
            return question()
        except MissingError:
            raise
        except UnavailableError as error:
            self._silence = error
            raise


class LostRaceError(Exception):
    """Another monitor changed what is remembered; the round begins again."""


class Round:
    """What one round got from the log: its checkpoint `now`, and the tiles under it."""

    def __init__(self, task: Task, place: Source) -> None:
        self._task = task
        self.source = SteadySource(place)
        try:
            note = place.checkpoint()
        except MissingError as error:
            raise UnavailableError(f"no log is there: {error}") from error
        self.now = verify_view(task, note)
        self._reader = TileReader(self.source, self.size)

    @property
    def size(self) -> int:
        """The size of the tree that the log shows."""
        return self.now.checkpoint.size

    def check_extends(self, known: VerifiedCheckpoint) -> None:
        """Check that the tree begins with `known`.

        Raises:
            ForkError, RollbackError: it does not.
            VerificationError, FormatError, UnavailableError: tiles that show nothing, or none.
        """
        if self.size >= known.checkpoint.size:
            compare(known, self.now, self._reader)
            return
        # The tiles of the larger tree, if they are still there, tell whether it is a fork as well.
        _agree(known, self.now, self.source)
        raise RollbackError(self._task.origin, known, self.now)

    def check_view(self, name: str, view: VerifiedCheckpoint) -> str:
        """Check that the tree and another view are one history; return a doubt, or an empty text.

        Raises: as `check_extends`.
        """
        size = view.checkpoint.size
        if size <= self.size:
            compare(view, self.now, self._reader)
            return ""
        if _agree(view, self.now, self.source) or self._agree_there(name, view):
            found = "the larger begins with the smaller"
        else:
            found = "nobody has the tiles of the larger"
        return f"{name} shows a tree of {size} leaves, {self._task.where} {self.size}; {found}"

    def _agree_there(self, name: str, view: VerifiedCheckpoint) -> bool:
        """Try the tiles beside the other view: a mirror has them."""
        prefix, _, last = name.rpartition("/")
        if last != "checkpoint" or not prefix:
            return False
        try:
            with open_source(prefix) as place:
                place.checkpoint()  # a site's address is settled by it
                return _agree(view, self.now, place)
        except (MisuseError, UnavailableError):
            return False


def _agree(larger: VerifiedCheckpoint, smaller: VerifiedCheckpoint, tiles: TileSource) -> bool:
    """Say whether `tiles` show one history; False when they show nothing.

    Raises:
        ForkError: they show two.
    """
    try:
        compare(larger, smaller, TileReader(tiles, larger.checkpoint.size))
    except ForkError:
        raise
    except (FormatError, UnavailableError, VerificationError):
        return False
    return True


def verify_view(task: Task, note: bytes) -> VerifiedCheckpoint:
    """Verify a checkpoint of the log and count its witnesses; a quorum is not asked for.

    The log is bound by its own line alone: what a monitor leaves aside until witnesses come is what
    a lying log would show to nobody else.

    Raises: as `verify_checkpoint`.
    """
    policy = replace(task.policy, quorum=NO_QUORUM)
    return verify_checkpoint(note, origin=task.origin, log=task.log, policy=policy)


def has_quorum(task: Task, view: VerifiedCheckpoint) -> bool:
    """Say whether the policy's quorum cosigned `view`, which was verified."""
    try:
        verify_checkpoint(view.note, origin=task.origin, log=task.log, policy=task.policy)
    except VerificationError:
        return False
    return True


class Follower:
    """Follows one log, round by round."""

    def __init__(
        self,
        task: Task,
        memory: FileMemory,
        teller: Teller,
        *,
        stopped: Callable[[], bool],
        start: Start = Start.RESUME,
        chunk: int = CHUNK,
    ) -> None:
        self._task = task
        self._memory = memory
        self._teller = teller
        self._stopped = stopped
        self._start = start
        self._chunk = chunk

    def look(self) -> list[str]:
        """Do one round; return what could not be checked beside it, as sentences.

        Raises:
            ForkError, RollbackError: what their names say.
            MissingError: a tile, bundle or envelope is answered to be absent.
            UnavailableError: the log did not answer; LostStateError: nor did our own files.
            VerificationError, FormatError: what is served is not what was signed.
            StoppedError: told to end.
        """
        while True:
            with suppress(LostRaceError):
                return self._look()

    def _look(self) -> list[str]:
        memory = self._memory.load()
        doubts: list[str] = []
        views = self._other_views(doubts)
        with open_source(self._task.where) as place:
            this = Round(self._task, place)
            for known in memory.known:
                this.check_extends(known)
            for name, view in views:
                doubts.append(this.check_view(name, view))
            self._advance(memory, this)
        if self._task.require_quorum and not has_quorum(self._task, this.now):
            doubts.append(f"the tree of {this.size} leaves has no quorum of witnesses")
        return [doubt for doubt in doubts if doubt]

    def _other_views(self, doubts: list[str]) -> list[tuple[str, VerifiedCheckpoint]]:
        views = []
        for name in self._task.views:
            try:
                views.append((name, verify_view(self._task, read_note(name))))
            except AssayError as error:
                # What another place says in the log's name without its signature accuses nobody.
                doubts.append(f"no view to compare with at {name}: {error}")
        return views

    def _advance(self, memory: Memory, this: Round) -> None:
        """Steps 5 and 6."""
        now, start = this.now, 0 if self._start is Start.BEGINNING else memory.next
        if memory.checked is None:
            self._teller.first_contact(now)
        if memory.checked is None or memory.checked.checkpoint.size < this.size:
            memory = self._remember(memory, replace(memory, seen=now, seen_to=memory.next))
        if self._start is Start.PRESENT:
            check_tree(this.source, now.checkpoint)
            self._teller.skipped(start, this.size)
            start = this.size
        elif start < this.size:
            memory = self._check_entries(start, memory, this)
        if memory.seen is not None:
            self._remember(memory, Memory(checked=now))
        self._start = Start.RESUME
        self._teller.checked(now, start, quorum=has_quorum(self._task, now))

    def _check_entries(self, start: int, memory: Memory, this: Round) -> Memory:
        found: list[Finding] = []
        done = start
        try:
            for entry in read_entries(this.source, start, this.now.checkpoint):
                signer = entry.key.fingerprint
                finding = self._task.watch.find(entry.index, entry.statement, signer)
                if finding is not None:
                    found.append(finding)
                done = entry.index + 1
                if done % self._chunk == 0:
                    batch, found = found, []
                    memory = self._tell(batch, memory, done)
                if self._stopped():
                    raise StoppedError
        finally:
            memory = self._tell(found, memory, done)
        return memory

    def _tell(self, found: Sequence[Finding], memory: Memory, done: int) -> Memory:
        # Told first: after a crash a line comes twice, none is lost.
        for finding in found:
            self._teller.finding(finding)
        if memory.seen is None:
            return memory
        return self._remember(memory, replace(memory, seen_to=max(memory.seen_to, done)))

    def _remember(self, memory: Memory, new: Memory) -> Memory:
        if new.state != memory.state and not self._memory.swap(memory, new):
            raise LostRaceError
        return new


def read_note(where: str) -> bytes:
    """Return a signed note from an http(s) address or a file.

    Raises:
        MisuseError, UnavailableError: as `fetch` and `read_file`.
    """
    if where.startswith(("http://", "https://")):
        return fetch(where, limit=LIMITS.note)
    return read_file(Path(where), LIMITS.note)
