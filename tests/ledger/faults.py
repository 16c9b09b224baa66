"""A sequencer whose n-th write fails: stored, or not stored.

Every write goes through `Faults.write`, so the points are found by counting and cannot be
forgotten: a new write that bypasses it shows up as a changed list of names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from django.conf import settings

from ledger.growth import Growth
from ledger.keys import load_log_key
from ledger.models import Checkpoint
from ledger.sequencer import Batch, Sequencer
from ledger.storage import FolderStorage
from ledger.witnesses import Cosigned

_Result = TypeVar("_Result")


class WriteFailedError(Exception):
    """The disk or the database said no."""


class Faults:
    """Counts writes; the one numbered `at` fails after or before it happened."""

    def __init__(self, at: int = -1, *, stored: bool = False) -> None:
        self.at = at
        self.stored = stored
        self.names: list[str] = []

    def write(self, name: str, action: Callable[[], _Result]) -> _Result:
        number = len(self.names)
        self.names.append(name)
        if number != self.at:
            return action()
        if self.stored:
            action()
        raise WriteFailedError(name)


class FaultyStorage(FolderStorage):
    """A folder on a failing disk."""

    def __init__(self, faults: Faults) -> None:
        super().__init__(settings.LEDGER_DIR)
        self.faults = faults

    def put_new(self, path: str, data: bytes) -> None:
        self.faults.write(f"put {path}", lambda: super(FaultyStorage, self).put_new(path, data))

    def replace(self, path: str, data: bytes) -> None:
        self.faults.write(f"replace {path}", lambda: super(FaultyStorage, self).replace(path, data))


class FaultySequencer(Sequencer):
    """A sequencer on a failing disk and a failing database."""

    def __init__(self, faults: Faults) -> None:
        super().__init__(
            settings.LEDGER_ORIGIN,
            storage=FaultyStorage(faults),
            key=load_log_key(settings.LEDGER_KEY),
        )
        self.faults = faults

    def _commit(self, batch: Batch, grown: Growth, old_root: bytes) -> None:
        parent = super()._commit
        self.faults.write("commit", lambda: parent(batch, grown, old_root))

    def _keep_checkpoint(self, log: int, size: int, root: bytes, note: bytes) -> Checkpoint:
        parent = super()._keep_checkpoint
        return self.faults.write("keep checkpoint", lambda: parent(log, size, root, note))

    def _keep_cosignatures(self, checkpoint: Checkpoint, found: Sequence[Cosigned]) -> None:
        parent = super()._keep_cosignatures
        self.faults.write("keep cosignatures", lambda: parent(checkpoint, found))

    def _publish(self, checkpoint: Checkpoint) -> None:
        parent = super()._publish
        self.faults.write("publish", lambda: parent(checkpoint))
