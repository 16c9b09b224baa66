"""What an auditor pins: the keys of the logs, and whom to ask about them.

The current log and the frozen ones before it are all named, the oldest first, so that a receipt of
any of them verifies with the documents of today. One witness policy holds for all of them: the file
of the setting, with the logs of this installation added. A frozen log is not cosigned any more: its
last checkpoint counts by the lines that it has, so witnesses that signed it stay in the file.
"""

from __future__ import annotations

from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import settings

from assay.note import VKey
from assay.policy import (
    NO_QUORUM,
    LogKey,
    PolicyKey,
    TlogPolicy,
    log_key,
    render_policy,
    render_signing_config,
    render_trusted_root,
)
from assay.statements import timestamp
from ledger import policy
from ledger.logs import address_of, all_logs, current_log
from ledger.models import Log


def log_vkey() -> str:
    """Return the verifier key of the current log, C2SP's vkey of type 01."""
    return current_log().vkey


def trusted_root() -> bytes:
    """Return the Sigstore TrustedRoot v0.1 that names every log of this installation.

    Raises:
        LogBusyError: the current log is not open yet.
    """
    return render_trusted_root([_trusted(log) for log in _logs()])


def signing_config() -> bytes:
    """Return the Sigstore SigningConfig v0.2 that sends stock clients to the current log."""
    log = current_log()
    return render_signing_config(settings.LEDGER_URL, timestamp(log.created_at), log.origin)


def witness_policy() -> bytes:
    """Return the tlog-policy of all logs; without witnesses it says `quorum none`."""
    known = policy.witness_policy() or TlogPolicy(
        logs=(), witnesses={}, groups={}, quorum=NO_QUORUM
    )
    named = {key.vkey: key for key in known.logs}
    for log in _logs():
        vkey = VKey.parse(log.vkey)
        named.setdefault(vkey, PolicyKey(vkey=vkey, url=address_of(log)))
    return render_policy(replace(known, logs=tuple(named.values())))


def _logs() -> list[Log]:
    current_log()
    return all_logs()


def _trusted(log: Log) -> LogKey:
    public = Ed25519PublicKey.from_public_bytes(VKey.parse(log.vkey).key)
    return log_key(address_of(log), public, timestamp(log.created_at))
