"""What an auditor pins: the log's key, and whom to ask about it."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import settings

from assay.note import VKey
from assay.policy import (
    NO_QUORUM,
    PolicyKey,
    TlogPolicy,
    log_key,
    render_policy,
    render_signing_config,
    render_trusted_root,
)
from assay.statements import timestamp
from ledger import policy
from ledger.logs import current_log


def log_vkey() -> str:
    """Return the verifier key of the log, C2SP's vkey of type 01."""
    return current_log().vkey


def trusted_root() -> bytes:
    """Return the Sigstore TrustedRoot v0.1 that names this log and nothing else."""
    log = current_log()
    public = Ed25519PublicKey.from_public_bytes(VKey.parse(log.vkey).key)
    return render_trusted_root([log_key(settings.LEDGER_URL, public, timestamp(log.created_at))])


def signing_config() -> bytes:
    """Return the Sigstore SigningConfig v0.2 that sends stock clients to this log."""
    log = current_log()
    return render_signing_config(settings.LEDGER_URL, timestamp(log.created_at), log.origin)


def witness_policy() -> bytes:
    """Return the tlog-policy of this log; without witnesses it says `quorum none`."""
    known = policy.witness_policy()
    if known is None:
        log = PolicyKey(vkey=VKey.parse(log_vkey()), url=settings.LEDGER_URL)
        known = TlogPolicy(logs=(log,), witnesses={}, groups={}, quorum=NO_QUORUM)
    return render_policy(known)
