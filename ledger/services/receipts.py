"""Evidence to hand out: the Sigstore bundle and the tlog-proof of an entry."""

from __future__ import annotations

import logging

from assay.bundle import (
    Bundle,
    InclusionProof,
    LogEntry,
    hint_for,
    oms_hint_for,
    render_bundle,
)
from assay.dsse import Envelope, rekor_body
from assay.errors import AssayError
from assay.merkle import check_inclusion
from assay.note import VKey, log_id
from assay.receipt import TlogProof, render_tlog_proof
from ledger import reader
from ledger.choices import Kind
from ledger.errors import LogDamagedError, NotIncludedError, StorageAwayError
from ledger.models import Entry
from ledger.publication import full_note
from ledger.selectors import covering
from ledger.services.entries import find_entry
from ledger.storage import log_storage

log = logging.getLogger(__name__)


def receipt(entry_id: int) -> bytes:
    """Return the Sigstore bundle v0.3 of an entry, proved against the newest witnessed checkpoint.

    Where no quorum cosigned a checkpoint that covers it, the newest published one is taken: ask
    again later for a better one, the leaf and the index stay.

    Raises:
        NotIncludedError: no published checkpoint covers it yet.
        LogDamagedError: the tiles do not prove it.
        StorageAwayError: the tiles cannot be read now.
    """
    entry = find_entry(entry_id)
    spki = bytes(entry.public_key)
    signs_folder = entry.kind == Kind.MODEL_SIGNATURE
    return render_bundle(
        Bundle(
            envelope=envelope_of(entry),
            hint=oms_hint_for(spki) if signs_folder else hint_for(spki),
            entry=log_entry(entry),
        )
    )


def tlog_proof(entry_id: int) -> bytes:
    """Return the proof of an entry in C2SP's tlog-proof format; raises as `receipt` does."""
    proof = prove(find_entry(entry_id))
    return render_tlog_proof(
        TlogProof(index=proof.index, hashes=proof.hashes, checkpoint=proof.checkpoint)
    )


def envelope_of(entry: Entry) -> Envelope:
    """Return the claim as it was signed."""
    return Envelope(
        payload=bytes(entry.payload.payload),
        signature=bytes(entry.signature),
        payload_type=entry.payload.payload_type,
    )


def body_of(entry: Entry) -> bytes:
    """Return the bytes of the entry in the log."""
    values = (entry.payload_id, entry.signature, entry.public_key)
    return rekor_body(*(bytes(value) for value in values))


def log_entry(entry: Entry) -> LogEntry:
    """Return the entry as Rekor's formats carry it; raises as `receipt` does."""
    proof = prove(entry)
    key = VKey.parse(entry.log.vkey).key
    return LogEntry(
        index=proof.index,
        key_id32=log_id(entry.log.origin, key),
        body=body_of(entry),
        inclusion=proof,
    )


def prove(entry: Entry) -> InclusionProof:
    """Return the inclusion proof of `entry`, checked; raises as `receipt` does."""
    checkpoint = covering(entry)
    if checkpoint is None or entry.index is None:
        raise NotIncludedError("No published checkpoint covers the entry yet.")
    size, root = checkpoint.size, bytes(checkpoint.root)
    try:
        hashes = reader.prove_inclusion(log_storage(entry.log.place), entry.index, size)
        check_inclusion(bytes(entry.leaf_hash), entry.index, size, hashes, root)
    except AssayError as error:
        raise LogDamagedError(f"Entry {entry.index} cannot be proved: {error}.") from error
    except OSError as error:
        log.warning("entry %d cannot be proved now: %s", entry.index, error)
        raise StorageAwayError("The log's storage does not answer; try again.") from error
    return InclusionProof(
        index=entry.index,
        root=root,
        size=size,
        hashes=tuple(hashes),
        checkpoint=full_note(checkpoint),
    )
