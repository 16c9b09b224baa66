"""One look at the log for an audit: the tree, its new entries, the draw.

1. The checkpoint is the pinned log's, with the policy's quorum of witnesses: what an operator shows
   to the auditor alone is not what it is audited by.
2. It is one history with every checkpoint that this audit, and a monitor beside it, remembers.
3. Every entry from the round's start on is read and checked: leaf, envelope, signature, statement.
4. The tree is remembered; a nonce is drawn, and by both the executions that are audited.
5. Each receipt's checkpoint has to be of the same history too (`History`).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from assay.audit import Drawn, Plan, draw, seed_of
from assay.checkpoint import VerifiedCheckpoint
from assay.cli.ahead import in_order
from assay.cli.remember import FileMemory
from assay.cli.rounds import Round, StoppedError, Task, has_quorum, verify_view
from assay.cli.source import open_source
from assay.errors import FormatError, UnavailableError
from assay.logdata import LoggedEntry, check_tree, fetch_entry, read_claims
from assay.monitor import compare
from assay.receipt import execution_of
from assay.statements import EXECUTION, timestamp
from assay.tiles import TileReader

_JOBS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What to audit: `sample` executions of each round, None for all; entries from `since` on.

    `since` None is where the last round ended.
    """

    sample: int | None
    since: int | None


class Looker:
    """Looks at one log; `memory` is the audit's own, `others` are views that must agree."""

    def __init__(
        self,
        task: Task,
        memory: FileMemory,
        others: FileMemory,
        *,
        stopped: Callable[[], bool],
        first_contact: Callable[[VerifiedCheckpoint], None],
    ) -> None:
        self._task = task
        self._memory = memory
        self._others = others
        self._stopped = stopped
        self._first_contact = first_contact

    def look(self, start: int, wish: Wish) -> Plan | None:
        """Return the next round, whose entries begin at `start`; None when no execution is new.

        Raises:
            ForkError, RollbackError: what their names say.
            MissingError: a tile, bundle or envelope is answered to be absent.
            UnavailableError: the log did not answer, or has no quorum; LostStateError: our files.
            VerificationError, FormatError: what is served is not what was signed.
            StoppedError: told to end.
        """
        with open_source(self._task.where) as place:
            this = Round(self._task, place)
            memory = self._memory.load()
            for known in (*memory.known, *self._others.load().known):
                this.check_extends(known)
            if not has_quorum(self._task, this.now):
                raise UnavailableError(
                    f"the tree of {this.size} leaves has no quorum of witnesses yet"
                )
            if memory.checked is None:
                self._first_contact(this.now)
            start = min(start, this.size)
            found = list(self._executions(this, start))
            # A checkpoint is remembered for its history; which entries were audited, the plan says.
            if not self._memory.swap(memory, replace(memory, checked=this.now, seen=None)):
                raise UnavailableError("another process changed what this audit remembers")
        return self._plan(this.now, start, wish, found) if found else None

    def _executions(self, this: Round, start: int) -> Iterator[Drawn]:
        tree = this.now.checkpoint
        reader = check_tree(this.source, tree)
        claims = read_claims(this.source, start, tree, reader)
        for entry in in_order(lambda claim: fetch_entry(this.source, claim), claims, _JOBS):
            if self._stopped():
                raise StoppedError
            if entry.statement.predicate_type == EXECUTION:
                yield _drawn(entry)

    def _plan(self, now: VerifiedCheckpoint, start: int, wish: Wish, found: list[Drawn]) -> Plan:
        text = now.checkpoint.text
        nonce = secrets.token_bytes(32)
        chosen = set(draw(seed_of(text, nonce), (item.index for item in found), wish.sample))
        return Plan(
            origin=now.checkpoint.origin,
            checkpoint=now.note.decode("utf-8"),
            root=now.checkpoint.root.hex(),
            nonce=nonce.hex(),
            start=start,
            end=now.checkpoint.size,
            sample=wish.sample,
            executions=len(found),
            began_at=timestamp(datetime.fromtimestamp(time.time(), UTC)),
            drawn=tuple(item for item in found if item.index in chosen),
        )


def _drawn(entry: LoggedEntry) -> Drawn:
    try:
        said = execution_of(entry.statement)
    except FormatError:
        execution = model = graph = ""
    else:
        execution, model, graph = said.execution, said.model, said.graph.sha256
    return Drawn(
        index=entry.index,
        execution=execution,
        model=model,
        graph=graph,
        statement=entry.pae_sha256.hex(),
        signer=entry.key.fingerprint,
    )


class History:
    """The history of a round: its tree, and any other checkpoint that has to fit it."""

    def __init__(self, task: Task, plan: Plan) -> None:
        self._task = task
        self.now = verify_view(task, plan.checkpoint.encode("utf-8"))
        self._known = {self._key(self.now)}
        self._closing = ExitStack()
        self._source = self._closing.enter_context(open_source(task.where))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.close()

    @staticmethod
    def _key(view: VerifiedCheckpoint) -> tuple[int, bytes]:
        return view.checkpoint.size, view.checkpoint.root

    def check(self, view: VerifiedCheckpoint) -> None:
        """Check that `view`, whose signatures were verified, and the round's tree are one history.

        Raises:
            ForkError: they are two.
            VerificationError, FormatError, UnavailableError: tiles that show nothing, or none.
        """
        key = self._key(view)
        if view.checkpoint.origin != self.now.checkpoint.origin or key in self._known:
            return
        size = max(view.checkpoint.size, self.now.checkpoint.size)
        compare(self.now, view, TileReader(self._source, size))
        self._known.add(key)
