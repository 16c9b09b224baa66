"""The front door of the ledger: what the other apps call."""

from __future__ import annotations

from ledger.services.append import append
from ledger.services.documents import log_vkey, signing_config, trusted_root, witness_policy
from ledger.services.entries import EntryStatus, entry_for_claim, entry_status, wait_included
from ledger.services.heads import Head, is_checkpoint, newest_checkpoint, observed
from ledger.services.opening import ensure_log
from ledger.services.receipts import receipt, tlog_proof

__all__ = [
    "EntryStatus",
    "Head",
    "append",
    "ensure_log",
    "entry_for_claim",
    "entry_status",
    "is_checkpoint",
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
