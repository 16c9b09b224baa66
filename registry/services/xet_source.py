"""Where the chunks of Xet pieces are and how they are read: from the spool, or from blobs."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from registry.errors import InvalidInputError
from registry.models import Xorb
from registry.services.xet_format import Segment
from registry.storage import CHUNK, blobs

_OPEN = 8


class ForgottenError(InvalidInputError):
    """A shard names a piece that is not here (any more)."""


class SegmentError(InvalidInputError):
    """A segment is not what its xorb can give."""


class MovedError(Exception):
    """Another shard claimed a piece while this one was read: look again."""


def spool_folder() -> Path:
    """Return the folder of the pieces that wait, and of shards while they are read."""
    return Path(settings.XET_DIR)


def spool_file(spool: str) -> Path:
    """Return where the raw bytes of a piece that waits are."""
    return spool_folder() / spool


class Places:
    """Where each chunk of a piece begins in its raw bytes."""

    def __init__(self, row: Xorb) -> None:
        lengths = array("I")
        lengths.frombytes(bytes(row.lengths))
        self.count = len(lengths)
        self._starts = array("I", accumulate(lengths, initial=0))
        row.lengths = b""  # a file may name many pieces

    def at(self, chunk: int) -> int:
        """Return the offset of a chunk; of one behind the last, the size."""
        return self._starts[chunk]


class Source:
    """Reads chunks out of the spool, or out of the stored files that hold them."""

    def __init__(self, rows: dict[str, Xorb], places: dict[str, Places]) -> None:
        self._places = places
        self._spools = {name: row.spool for name, row in rows.items() if row.spool}
        self._ranges = {
            name: sorted((one.first, one.end, one.blob_id, one.offset) for one in row.ranges.all())
            for name, row in rows.items()
            if not row.spool
        }
        self._files: dict[str, BinaryIO] = {}

    def read(self, wanted: Iterable[Segment]) -> Iterator[bytes]:
        """Yield the bytes of the segments, in pieces of at most 1 MiB."""
        try:
            for segment in wanted:
                for stream, offset, count in self._where(segment):
                    yield from _pieces(stream, offset, count)
        finally:
            for stream in self._files.values():
                stream.close()

    def _where(self, segment: Segment) -> Iterator[tuple[BinaryIO, int, int]]:
        places = self._places[segment.xorb]
        if segment.xorb in self._spools:
            start = places.at(segment.first)
            yield self._open(self._spools[segment.xorb], spool=True), start, segment.raw
            return
        at = segment.first
        for first, end, blob, offset in self._ranges[segment.xorb]:
            if first <= at < end:
                stop = min(end, segment.end)
                skipped = places.at(at) - places.at(first)
                count = places.at(stop) - places.at(at)
                yield self._open(blob, spool=False), offset + skipped, count
                at = stop
            if at == segment.end:
                return
        raise ForgottenError(f"The xorb {segment.xorb} is not here any more: send it.")

    def _open(self, name: str, *, spool: bool) -> BinaryIO:
        if name not in self._files:
            while len(self._files) >= _OPEN:
                self._files.pop(next(iter(self._files))).close()
            try:
                self._files[name] = spool_file(name).open("rb") if spool else blobs().open(name)
            except FileNotFoundError:
                raise MovedError(name) from None
        return self._files[name]


def _pieces(stream: BinaryIO, offset: int, count: int) -> Iterator[bytes]:
    stream.seek(offset)
    while count > 0 and (piece := stream.read(min(CHUNK, count))):
        count -= len(piece)
        yield piece
