"""The Xet upload bridge: pieces come, files are rebuilt from them and stored as ordinary blobs.

    xorb    a piece: its chunks, inflated, in a file of the spool; then its row
    shard   which chunks make which file; each file is rebuilt, hashed and stored, or refused

Commit points: a piece exists when its row does, and the row is written after its file is durable; a
file exists when the rows of blob and holding do (`contents.record`), after its bytes are durable
and had the SHA-256 that the shard names. In the transaction of those rows the chunks get their
places in the blob, and a piece whose chunks all have one loses its file.

A crash between the two leaves a file of the spool without a row (the sweeper takes it after a day),
or a blob without a row; the client sends piece or shard again. Clients remember what they sent
under an address and do not send it twice: where we find that we have forgotten a piece, the epoch
in the address is raised, and they begin anew.

The names of pieces are not checked: the first body under a name stays, a name is one model's, and
the SHA-256 of the whole decides. A file that does not become what its shard says was lied about, or
one of its pieces was: all of them are forgotten and the epoch is raised, so that nobody who may
write to a model can keep a false piece under a name that an honest client will send.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from array import array
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, TimeoutError as StillBusy
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core import signing
from django.db import IntegrityError, transaction
from django.db.models import F, Sum
from django.utils import timezone

from registry import selectors
from registry.errors import (
    DigestMismatchError,
    InvalidInputError,
    NotAllowedError,
    TooLargeError,
)
from registry.models import Blob, Model, Owner, XetSpace, Xorb, XorbRange
from registry.rights import may_read, need_write
from registry.services import contents, quotas
from registry.services.xet_format import Entry, Segment, entries, segments
from registry.services.xet_source import (
    ForgottenError,
    MovedError,
    Places,
    SegmentError,
    Source,
    spool_file,
    spool_folder,
)
from registry.storage import StoredBlob, TemporaryFile, blobs, sweep_strays

LIFETIME_S = 3600
BEAT_S = 15.0
KEPT = timedelta(hours=48)
_SALT = "registry.xet"
_MAX_XORBS = 2_048
_MAX_RANGES = 20_000
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who uploads to which model, after every check of a token."""

    user: AbstractBaseUser
    model: Model
    space: XetSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How many files of a shard are stored, of how many."""

    done: int
    total: int


# ------------------------------------------------------------------ access


def open_space(user: AbstractBaseUser, model: Model) -> tuple[XetSpace, str, int]:
    """Return the address of `model` for uploads, a token for it, and when that ends (POSIX s).

    Raises:
        NotAllowedError: the model is somebody else's.
    """
    need_write(user, model)
    space, _ = XetSpace.objects.get_or_create(model=model)
    ends = int(time.time()) + LIFETIME_S
    token = signing.dumps({"space": str(space.pk), "user": user.pk}, salt=_SALT)
    return space, token, ends


def check(space_id: UUID, token: str) -> Access:
    """Return what a token allows at this address.

    Raises:
        NotAllowedError: not ours, expired, of another model, or the right to write is gone.
    """
    refused = NotAllowedError("This Xet token is not ours, has expired, or is another model's.")
    try:
        fields = signing.loads(token, salt=_SALT, max_age=LIFETIME_S)
    except signing.BadSignature:
        raise refused from None
    space = XetSpace.objects.select_related("model__owner").filter(pk=space_id).first()
    user = get_user_model().objects.filter(pk=fields["user"], is_active=True).first()
    if space is None or user is None or fields["space"] != str(space.pk):
        raise refused
    if not may_read(user, space.model):
        raise refused
    need_write(user, space.model)
    return Access(user=user, model=space.model, space=space)


# ------------------------------------------------------------------ pieces


def knows(access: Access, name: str) -> bool:
    """Tell whether the piece `name` is here, in the spool or in stored files."""
    row = Xorb.objects.filter(space=access.space, hash=name).first()
    return row is not None and _is_here(row)


def _is_here(row: Xorb) -> bool:
    return not row.spool or spool_file(row.spool).exists()


def put_xorb(access: Access, name: str, chunks: Iterable[bytes], length: int) -> bool:
    """Keep a piece of `length` bytes as sent; False when it was here already.

    Raises:
        InvalidInputError: a chunk is malformed; nothing is kept.
        TooLargeError: beyond the quota of the model's owner.
    """
    room_for(access.model.owner, length)
    lengths = array("I")
    spool = f"{name}.{secrets.token_hex(8)}"
    with TemporaryFile(spool_folder()) as temporary:
        for chunk in chunks:
            lengths.append(len(chunk))
            temporary.file.write(chunk)
        size = sum(lengths)
        room_for(access.model.owner, size)
        temporary.rename(spool_file(spool))
    fields = {"lengths": lengths.tobytes(), "size": size, "spool": spool}
    try:
        with transaction.atomic():
            for lost in Xorb.objects.filter(space=access.space, hash=name):
                if not _is_here(lost):
                    lost.delete()
            Xorb.objects.create(space=access.space, hash=name, user_id=access.user.pk, **fields)
    except IntegrityError:  # the same piece came twice at once: the first stays
        spool_file(spool).unlink(missing_ok=True)
        return False
    return True


def room_for(owner: Owner, size: int) -> None:
    """Raise TooLargeError when `size` bytes more, beside what waits, are beyond the quota."""
    waiting = Xorb.objects.filter(space__model__owner=owner).exclude(spool="")
    quotas.check_room(owner, size + (waiting.aggregate(n=Sum("size"))["n"] or 0))


# ------------------------------------------------------------------ shards


def take_shard(access: Access, stream: BinaryIO, size: int) -> Iterator[Progress]:
    """Rebuild and store the files of a shard; yield at each file, and while one takes long.

    Raises:
        InvalidInputError, DigestMismatchError: a lie in the shard; the files before it are stored.
        ForgottenError: a piece is missing; the epoch is raised.
        TooLargeError: a file is larger than one may be, or beyond the quota.
    """
    total = sum(1 for _ in entries(stream, size))
    yield Progress(done=0, total=total)
    for number, entry in enumerate(entries(stream, size)):
        try:
            for _ in _take_again(access, stream, entry):
                yield Progress(done=number, total=total)
        except ForgottenError:
            _raise_epoch(access.space.pk)
            raise
        except (SegmentError, DigestMismatchError):
            _distrust(access, stream, entry)
            raise
        yield Progress(done=number + 1, total=total)


def _raise_epoch(space: UUID) -> None:
    """Give the model another address: clients remember by address what they have sent."""
    XetSpace.objects.filter(pk=space).update(epoch=F("epoch") + 1)


def _distrust(access: Access, stream: BinaryIO, entry: Entry) -> None:
    """Forget every piece that `entry` names; files that were stored from them stay as they are."""
    names = {segment.xorb for segment in segments(stream, entry)}
    with transaction.atomic():
        rows = Xorb.objects.select_for_update().filter(space=access.space, hash__in=names)
        spooled = [row.spool for row in rows if row.spool]
        rows.delete()
        _raise_epoch(access.space.pk)
    for spool in spooled:
        spool_file(spool).unlink(missing_ok=True)


def _take_again(access: Access, stream: BinaryIO, entry: Entry) -> Iterator[None]:
    """Take a file, and once more where a piece moved from the spool into a blob meanwhile."""
    try:
        yield from _takespool_file(access, stream, entry)
    except MovedError:
        try:
            yield from _takespool_file(access, stream, entry)
        except MovedError:
            raise ForgottenError("A xorb was lost on our side: send it again.") from None


def _takespool_file(access: Access, stream: BinaryIO, entry: Entry) -> Iterator[None]:
    rows = _rows(access, stream, entry)
    places = {name: Places(row) for name, row in rows.items()}
    size = _check_segments(places, stream, entry)
    if entry.sha256 in selectors.usable(access.user, [entry.sha256]):
        return
    quotas.check_room(access.model.owner, size)
    source = Source(rows, places)
    with ThreadPoolExecutor(max_workers=1) as background:
        # The thread touches files only: rows are read before and written after.
        work = background.submit(
            lambda: blobs().put(source.read(segments(stream, entry)), entry.sha256, size=size)
        )
        while True:
            try:
                stored = work.result(timeout=BEAT_S)
                break
            except StillBusy:
                yield
    _record(access, rows, stream, entry, stored)


def _rows(access: Access, stream: BinaryIO, entry: Entry) -> dict[str, Xorb]:
    """Return the pieces that a file names; ForgottenError when one is not here."""
    names: set[str] = set()
    for segment in segments(stream, entry):
        names.add(segment.xorb)
        if len(names) > _MAX_XORBS:
            raise InvalidInputError(f"A file is made of at most {_MAX_XORBS} xorbs.")
    found = Xorb.objects.filter(space=access.space, hash__in=names).prefetch_related("ranges")
    rows = {row.hash: row for row in found}
    for name in names:
        if name not in rows:
            raise ForgottenError(f"The xorb {name} is not here: send it.", xorb=name)
    return rows


def _check_segments(places: dict[str, Places], stream: BinaryIO, entry: Entry) -> int:
    """Return the size of the file; SegmentError for a segment that its xorb cannot give."""
    total = 0
    for segment in segments(stream, entry):
        place = places[segment.xorb]
        if not segment.first < segment.end <= place.count:
            raise SegmentError(
                f"The xorb {segment.xorb} has {place.count} chunks, and no range "
                f"{segment.first}-{segment.end}."
            )
        held = place.at(segment.end) - place.at(segment.first)
        if held != segment.raw:
            raise SegmentError(
                f"A segment claims {segment.raw} bytes where its chunks have {held}."
            )
        total += held
        if total > settings.UPLOAD_MAX_BYTES:
            raise TooLargeError(
                "A file may not be that large.", size=total, limit=settings.UPLOAD_MAX_BYTES
            )
    return total


# ------------------------------------------------------------------ records


def _record(
    access: Access, rows: dict[str, Xorb], stream: BinaryIO, entry: Entry, stored: StoredBlob
) -> None:
    """Write the rows of the file, and where its chunks are; claimed pieces leave the spool."""
    waiting = [row.pk for row in rows.values() if row.spool]
    with transaction.atomic():
        blob = contents.record(access.user, stored, owner=access.model.owner)
        held = {row.hash: row for row in Xorb.objects.select_for_update().filter(pk__in=waiting)}
        found = _found(held, segments(stream, entry), blob)
        if found is None:  # too scattered to be worth it: the spool keeps these pieces for now
            return
        XorbRange.objects.bulk_create(found)
        for row in held.values():
            if row.spool and _is_covered(row):
                spool, row.spool = row.spool, ""
                row.save(update_fields=("spool",))
                transaction.on_commit(partial(spool_file(spool).unlink, missing_ok=True))


def _found(held: dict[str, Xorb], wanted: Iterable[Segment], blob: Blob) -> list[XorbRange] | None:
    """Return where the chunks of waiting pieces stand in `blob`, runs as one; None: too many."""
    found: list[XorbRange] = []
    offset, after = 0, ("", 0)
    for segment in wanted:
        row = held.get(segment.xorb)
        if row is not None and after == (segment.xorb, segment.first):
            found[-1].end = segment.end
        elif row is not None:
            found.append(
                XorbRange(xorb=row, first=segment.first, end=segment.end, blob=blob, offset=offset)
            )
        # Only what follows at once, in the file and in the piece, is one run.
        after = (segment.xorb, segment.end) if row is not None else ("", 0)
        offset += segment.raw
        if len(found) > _MAX_RANGES:
            return None
    return found


def _is_covered(row: Xorb) -> bool:
    at = 0
    for first, end in row.ranges.order_by("first").values_list("first", "end"):
        if first > at:
            return False
        at = max(at, end)
    return at >= len(row.lengths) // 4


def sweep() -> int:
    """Forget pieces that no file claimed within 48 hours; return how many.

    Their models' epochs are raised, so that clients that remember them send them again.
    """
    old = Xorb.objects.exclude(spool="").filter(created_at__lt=timezone.now() - KEPT)
    removed = 0
    for row in list(old[:10_000]):
        with transaction.atomic():
            removed += Xorb.objects.filter(pk=row.pk, spool=row.spool).delete()[0] > 0
            _raise_epoch(row.space_id)
        spool_file(row.spool).unlink(missing_ok=True)
    folder = spool_folder()
    if folder.is_dir():
        sweep_strays(folder)
        _sweep_rowless(folder)
    if removed:
        log.info("forgot %d pieces that no file claimed", removed)
    return removed


def _sweep_rowless(folder: Path) -> None:
    """Remove files of the spool that are a day old and have no row: a crash left them."""
    for path in folder.glob("[0-9a-f]*"):
        with contextlib.suppress(FileNotFoundError):
            young = time.time() - path.stat().st_mtime < 24 * 3600
            if not young and not Xorb.objects.filter(spool=path.name).exists():
                path.unlink()
