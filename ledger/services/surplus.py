"""Files that nothing explains: a log's storage holds what its sizes dictate, and no more.

A file too many is a sign that somebody else writes here, or that another tree was built. Three
things are explained: the checkpoint, a tile or bundle that some size of this log had, and the
temporaries of a writer. Under the place of another log, that log explains.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left

from assay.errors import FormatError
from assay.tiles import TILE_HEIGHT, TILE_WIDTH, parse_path
from ledger.errors import LogDamagedError
from ledger.logs import all_logs
from ledger.models import Log
from ledger.storage import CHECKPOINT, LogStorage, is_temporary


def check_surplus(log: Log, storage: LogStorage) -> None:
    """Check every path that `storage` holds. A sequencer may run meanwhile.

    Raises:
        LogDamagedError: a path that nothing explains.
    """
    sizes, others = _Sizes(log), _places_below(log)
    for path in storage.paths():
        if path == CHECKPOINT or is_temporary(path) or path.startswith(others):
            continue
        if not sizes.explain(path):
            sizes.refresh()  # the log may have grown since
            if not sizes.explain(path):
                raise LogDamagedError(f"{path} is stored, and no size of the log explains it.")


def _places_below(log: Log) -> tuple[str, ...]:
    """Return where other logs lie inside this one's storage, each with a slash at its end."""
    own = f"{log.place}/" if log.place else ""
    places = [f"{other.place}/" for other in all_logs() if other.pk != log.pk and other.place]
    return tuple(place.removeprefix(own) for place in places if place.startswith(own))


class _Sizes:
    """The sizes that a log had: those of its checkpoints, and of its head."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._signed = array("q")  # eight bytes for each
        self.refresh()

    def refresh(self) -> None:
        """Read on. The head comes first: what it leaves behind has a checkpoint by then."""
        self._head = Log.objects.values_list("size", flat=True).get(pk=self._log.pk)
        newest = self._signed[-1] if self._signed else -1
        rows = self._log.checkpoints.filter(size__gt=newest).order_by("size")
        self._signed.extend(rows.values_list("size", flat=True).iterator())

    def explain(self, path: str) -> bool:
        """Tell whether some size has the tile or bundle `path`."""
        try:
            tile = parse_path(path)
        except FormatError:
            return False
        shift = TILE_HEIGHT * (tile.level or 0)
        hashes = tile.index * TILE_WIDTH + tile.width  # in its row, up to the end of the tile
        first, after = hashes << shift, (hashes + 1) << shift
        at = bisect_left(self._signed, first)
        if tile.width == TILE_WIDTH:
            return at < len(self._signed) or self._head >= first
        return first <= self._head < after or (at < len(self._signed) and self._signed[at] < after)
