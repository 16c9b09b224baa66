"""The front door of the ledger: what the other apps call."""

from __future__ import annotations

from ledger.services.append import NewClaim, append, append_many
from ledger.services.documents import log_vkey, signing_config, trusted_root, witness_policy
from ledger.services.entries import (
    EntryStatus,
    entry_for_claim,
    entry_of_payload,
    entry_status,
    wait_included,
)
from ledger.services.heads import Head, is_checkpoint, newest_checkpoint, observed
from ledger.services.links import checkpoint_url, entry_url, is_current, log_origin
from ledger.services.opening import ensure_log
from ledger.services.receipts import receipt, tlog_proof
from ledger.services.state import LogState, log_state

__all__ = [
    "EntryStatus",
    "Head",
    "LogState",
    "NewClaim",
    "append",
    "append_many",
    "checkpoint_url",
    "ensure_log",
    "entry_for_claim",
    "entry_of_payload",
    "entry_status",
    "entry_url",
    "is_checkpoint",
    "is_current",
    "log_origin",
    "log_state",
    "log_vkey",
    "newest_checkpoint",
    "observed",
    "receipt",
    "signing_config",
    "tlog_proof",
    "trusted_root",
    "wait_included",
    "witness_policy",
]
