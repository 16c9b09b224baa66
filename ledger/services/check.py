"""Recomputing everything: rows, signatures, tiles, bundles, checkpoints, cosignatures.

The log is replayed from its rows, from one signed checkpoint to the next. At each one the files
must be there byte for byte, and give the signed root through the readers' code as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from django.db.models import Max

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
from ledger.models import Checkpoint, Entry, Log
from ledger.policy import witness_policy
from ledger.publication import full_note
from ledger.services.append import KINDS, searchable, shown_name
from ledger.services.receipts import body_of, envelope_of
from ledger.storage import CHECKPOINT, LogStorage, log_storage

CHUNK = 4096
OnProgress = Callable[[int, int], None]


def check_log(on_progress: OnProgress) -> int:
    """Recompute the log and return its size; `on_progress(done, size)` is called on the way.

    Entries above the newest checkpoint are only counted: their files are still to be written.

    Raises:
        LogDamagedError: the first damage, by name.
    """
    log, storage, policy = current_log(), log_storage(), witness_policy()
    edge = growth.EMPTY
    checkpoint = None
    for checkpoint in (
        log.checkpoints.order_by("size").prefetch_related("cosignatures").iterator(chunk_size=100)
    ):
        edge = _check_files(log, storage, edge, checkpoint.size)
        _check_checkpoint(log, storage, policy, checkpoint, edge)
        on_progress(edge.size, log.size)
    _check_head(log, checkpoint)
    _check_published(log, storage, policy)
    return log.size


def _check_files(log: Log, storage: LogStorage, edge: Edge, size: int) -> Edge:
    """Replay the log from `edge` to `size` and compare every file that this makes."""
    bodies = [_check_entry(entry) for entry in _entries(log, edge.size, size)]
    if len(bodies) != size - edge.size:
        raise LogDamagedError(f"Rows are missing between entries {edge.size} and {size}.")
    if not bodies:
        return edge
    grown = growth.grow(edge, bodies)
    for tile, data in grown.files:
        _compare(storage, tile.path, data)
    return grown.edge


def _entries(log: Log, start: int, end: int) -> Iterator[Entry]:
    rows = log.entries.filter(index__gte=start, index__lt=end).order_by("index")
    return rows.select_related("payload").prefetch_related("subjects").iterator(chunk_size=CHUNK)


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
    said = Counter((shown_name(item), item.sha256) for item in searchable(statement))
    if Counter((row.name, row.sha256) for row in entry.subjects.all()) != said:
        raise LogDamagedError(f"{name}: the subjects are others than the statement's.")


def _check_checkpoint(
    log: Log, storage: LogStorage, policy: TlogPolicy | None, checkpoint: Checkpoint, edge: Edge
) -> None:
    """Check a signed tree head: signatures, text, and the root through the readers' code."""
    name = f"Checkpoint {checkpoint.size}"
    try:
        note = full_note(checkpoint)
        open_note(bytes(checkpoint.note), [VKey.parse(log.vkey)])
        open_note(note, _known_keys(log, policy))
        signed = parse_checkpoint(parse_note(note).text)
        root = root_from(checkpoint.size, reader.tree(storage, checkpoint.size))
    except AssayError as error:
        raise LogDamagedError(f"{name}: {error}.") from error
    expected = (log.origin, checkpoint.size, bytes(checkpoint.root))
    if (signed.origin, signed.size, signed.root) != expected:
        raise LogDamagedError(f"{name}: the note says another tree than the row.")
    if not root == edge.root == signed.root:
        raise LogDamagedError(f"{name}: the entries give another root.")


def _known_keys(log: Log, policy: TlogPolicy | None) -> list[VKey]:
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


def _compare(storage: LogStorage, path: str, data: bytes) -> None:
    try:
        found = storage.get(path)
    except AssayError as error:
        raise LogDamagedError(f"{path} is missing.") from error
    if found != data:
        raise LogDamagedError(f"{path} holds other bytes.")
