"""Recomputing everything: rows, signatures, tiles, bundles, checkpoints, cosignatures.

The log is replayed from its rows, from one signed checkpoint to the next. At each one the files
must be there byte for byte, and give the signed root through the readers' code as well. Then the
storage is listed: a file that no size of the log explains is damage too. Nothing is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from django.db.models import Exists, Max, OuterRef

from assay.checkpoint import parse_checkpoint
from assay.digests import sha256_hex
from assay.dsse import load_public_key, verify_envelope
from assay.errors import AssayError
from assay.merkle import leaf_hash, root_from
from assay.note import VKey, open_note, parse_note
from assay.policy import TlogPolicy
from assay.statements import Statement, parse_statement
from ledger import growth, reader
from ledger.errors import LogDamagedError
from ledger.growth import Edge
from ledger.logs import current_log
from ledger.models import Checkpoint, Entry, Log, Payload
from ledger.policy import witness_policy
from ledger.publication import full_note
from ledger.rebuild import parts
from ledger.services.append import KINDS, model_of, owner_of, searchable, shown_name
from ledger.services.receipts import body_of, envelope_of
from ledger.services.surplus import check_surplus
from ledger.storage import CHECKPOINT, LogStorage, log_storage

CHUNK = 512
OnProgress = Callable[[int, int], None]


def check_log(on_progress: OnProgress, log: Log | None = None) -> int:
    """Recompute a log, the current one if none is given, and return its size.

    `on_progress(done, size)` is called on the way. Entries above the newest checkpoint are only
    counted: their files are still to be written.

    Raises:
        LogDamagedError: the first damage, by name.
        LogBusyError: there is no log yet.
        OSError: the storage does not answer, so nothing can be said.
    """
    log = log or current_log()
    storage, policy = log_storage(log.place), witness_policy()
    edge = growth.EMPTY
    checkpoint = None
    on_progress(0, log.size)
    for checkpoint in checkpoints_of(log):
        edge = _check_files(log, storage, edge, checkpoint.size, on_progress)
        check_signed(log, checkpoint, policy)
        check_root(checkpoint, edge)
        check_files_give(storage, checkpoint)
    _check_head(log, checkpoint)
    _check_published(log, storage, policy)
    check_surplus(log, storage)
    return log.size


def check_payloads() -> None:
    """Check that no payload is kept of which no log says anything.

    What waits to be logged is in another table, and no damage.

    Raises:
        LogDamagedError: one that no entry names. It cannot come from a crash: both are stored
            by one transaction.
    """
    entries = Entry.objects.filter(payload=OuterRef("pk"))
    row = Payload.objects.filter(~Exists(entries)).values_list("pk", flat=True).first()
    if row is not None:
        raise LogDamagedError(f"Payload {bytes(row).hex()}: no entry of any log names it.")


# ---------------------------------------------------------------- entries and files


def checkpoints_of(log: Log, above: int = -1) -> Iterable[Checkpoint]:
    """Return the signed checkpoints above a size with their cosignatures, the smallest first."""
    rows = log.checkpoints.filter(size__gt=above).order_by("size")
    rows = rows.prefetch_related("cosignatures")
    return rows.iterator(chunk_size=100)


def entries_of(log: Log, start: int, end: int) -> Iterator[Entry]:
    """Return the entries from `start` up to `end`, in log order, with payloads and subjects."""
    rows = log.entries.filter(index__gte=start, index__lt=end).order_by("index")
    return rows.select_related("payload").prefetch_related("subjects").iterator(chunk_size=CHUNK)


def _check_files(
    log: Log, storage: LogStorage, edge: Edge, size: int, on_progress: OnProgress
) -> Edge:
    """Replay the log from `edge` to `size` and compare every file that this makes."""

    def bodies(start: int, end: int) -> list[bytes]:
        return [_check_entry(entry) for entry in entries_of(log, start, end)]

    for part in parts(edge, size, bodies):
        for path, data in part.files:
            _compare(storage, path, data)
        edge = part.edge
        on_progress(edge.size, log.size)
    return edge


def _compare(storage: LogStorage, path: str, data: bytes) -> None:
    try:
        found = storage.get(path)
    except AssayError as error:
        raise LogDamagedError(f"{path} is missing.") from error
    if found != data:
        raise LogDamagedError(f"{path} holds other bytes.")


def _check_entry(entry: Entry) -> bytes:
    """Check one row against itself and return its body."""
    body, envelope = body_of(entry), envelope_of(entry)
    name = f"Entry {entry.index}"
    if leaf_hash(body) != bytes(entry.leaf_hash):
        raise LogDamagedError(f"{name}: the row gives another leaf hash.")
    if envelope.pae_sha256 != bytes(entry.payload_id):
        raise LogDamagedError(f"{name}: the payload is another one.")
    if sha256_hex(bytes(entry.public_key)) != entry.fingerprint:
        raise LogDamagedError(f"{name}: the fingerprint is another key's.")
    try:
        key = load_public_key(bytes(entry.public_key))
        verify_envelope(envelope, key)
        statement = parse_statement(envelope.payload)
    except AssayError as error:
        raise LogDamagedError(f"{name}: {error}.") from error
    _check_index(name, entry, statement)
    return body


def _check_index(name: str, entry: Entry, statement: Statement) -> None:
    """Check what entries are found by: one that nobody finds is as good as hidden."""
    if KINDS.get(statement.predicate_type) != entry.kind:
        raise LogDamagedError(f"{name}: the kind is another one than the statement's.")
    if model_of(statement) not in ("", entry.model):
        raise LogDamagedError(f"{name}: the model is another one than the statement's.")
    if owner_of(statement, entry.model) != entry.owner:
        raise LogDamagedError(f"{name}: the owner is another one than the statement's.")
    said = Counter((shown_name(item), item.sha256) for item in searchable(statement))
    if Counter((row.name, row.sha256) for row in entry.subjects.all()) != said:
        raise LogDamagedError(f"{name}: the subjects are others than the statement's.")


# ---------------------------------------------------------------- checkpoints


def check_signed(log: Log, checkpoint: Checkpoint, policy: TlogPolicy | None) -> None:
    """Check a signed tree head by itself: its signatures, and that note and row agree.

    Raises:
        LogDamagedError: a line of the log or of a witness that does not verify, or another tree.
    """
    name = f"Checkpoint {checkpoint.size}"
    try:
        note = full_note(checkpoint)
        open_note(bytes(checkpoint.note), [VKey.parse(log.vkey)])
        open_note(note, _known_keys(log, policy))
        signed = parse_checkpoint(parse_note(note).text)
    except AssayError as error:
        raise LogDamagedError(f"{name}: {error}.") from error
    expected = (log.origin, checkpoint.size, bytes(checkpoint.root))
    if (signed.origin, signed.size, signed.root) != expected:
        raise LogDamagedError(f"{name}: the note says another tree than the row.")


def check_root(checkpoint: Checkpoint, edge: Edge) -> None:
    """Check that the entries up to `edge` give the signed root.

    Raises:
        LogDamagedError: they do not.
    """
    if edge.root != bytes(checkpoint.root):
        raise LogDamagedError(f"Checkpoint {checkpoint.size}: the entries give another root.")


def check_files_give(storage: LogStorage, checkpoint: Checkpoint) -> None:
    """Check that the files give the signed root, as a reader computes it.

    Raises:
        LogDamagedError: they do not.
    """
    name = f"Checkpoint {checkpoint.size}"
    try:
        root = root_from(checkpoint.size, reader.tree(storage, checkpoint.size))
    except AssayError as error:
        raise LogDamagedError(f"{name}: {error}.") from error
    if root != bytes(checkpoint.root):
        raise LogDamagedError(f"{name}: the files give another root.")


def _known_keys(log: Log, policy: TlogPolicy | None) -> list[VKey]:
    """Return the keys whose lines must verify: the log's, and those of today's witnesses."""
    witnesses = policy.witnesses.values() if policy else ()
    return [VKey.parse(log.vkey), *(key.vkey for key in witnesses)]


def _check_head(log: Log, newest: Checkpoint | None) -> None:
    """Check the head against the entries. The order of the reads allows for a running sequencer."""
    if newest is None:
        raise LogDamagedError("The log has no checkpoint.")
    highest = log.entries.aggregate(highest=Max("index"))["highest"]
    log.refresh_from_db()
    sequenced = log.entries.filter(index__lt=log.size).count()
    if sequenced != log.size or (highest is not None and highest >= log.size):
        raise LogDamagedError("The head's size is not the number of entries.")
    if log.size < newest.size or (log.size == newest.size and log.root != newest.root):
        raise LogDamagedError("The head is behind the newest checkpoint.")


def _check_published(log: Log, storage: LogStorage, policy: TlogPolicy | None) -> None:
    """Check that the page shows a checkpoint that was signed, and none that is outdated.

    One wrong cosignature is enough for a stranger to refuse the whole note.
    """
    newest = log.checkpoints.filter(published_at__isnull=False).order_by("-size").first()
    if newest is None:
        return
    try:
        page = storage.get(CHECKPOINT)
        open_note(page, [VKey.parse(log.vkey)])
        text = open_note(page, _known_keys(log, policy)).text
        size = parse_checkpoint(text).size
    except AssayError as error:
        raise LogDamagedError(f"The published checkpoint: {error}.") from error
    row = log.checkpoints.filter(size=size).first()
    if row is None or size < newest.size or parse_note(bytes(row.note)).text != text:
        raise LogDamagedError("The published checkpoint is not the newest one that was signed.")
