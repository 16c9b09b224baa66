"""The registry's own keys: its own (moderation, countersigning), and its auditor's.

Each is a file that only this service reads, and a registration that the key itself signs. In this
order, each step with its COMMIT POINT:

1. The file: it is linked into place whole (`keyfile`), and its name is durable before step 2.
2. The registration: the log's entry, the key's row and the audit row, in one transaction.

A crash before 1 leaves a file that nobody reads, after 1 a key that nobody knows, after 2 a key
that has signed nothing yet. To ask again is the recovery: the file is found, and registered once.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings

from assay.dsse import public_key_of, sign
from assay.statements import KeyPredicate, Subject, render
from ledger import services as ledger
from registry.choices import KeyRole
from registry.errors import ConflictError, ReplayedSignatureError
from registry.keyfile import load_or_create_key
from registry.models import Key
from registry.services import keys
from registry.storage import sync_folder


def ensure_registry_key() -> tuple[str, bool]:
    """Make the key file and register the key when that has not happened; safe to repeat.

    Returns the fingerprint, and whether it was registered just now.

    Raises:
        MisuseError: the key file is unusable.
        LogBusyError: the log is not open yet.
    """
    private, new = ensure_service_key(settings.REGISTRY_KEY, KeyRole.REGISTRY)
    return public_key_of(private.public_key()).fingerprint, new


def ensure_service_key(path: Path, role: KeyRole) -> tuple[ec.EllipticCurvePrivateKey, bool]:
    """Return the key in the file `path`, and whether it was registered for `role` just now.

    Raises: as `ensure_registry_key`.
    """
    private = load_or_create_key(path)
    public = public_key_of(private.public_key())
    if Key.objects.filter(pk=public.fingerprint).exists():
        return private, False
    sync_folder(path.parent)  # whoever made the file may have died before its name was durable
    predicate = KeyPredicate(
        observed=ledger.observed(),
        action="register",
        owner=settings.LEDGER_ORIGIN,
        role=role.value,
        public_key=public.pem,
        previous=None,
    )
    statement = predicate.statement([Subject(name="", sha256=public.fingerprint)])
    try:
        keys.register_service_key(sign(render(statement), private), role)
    except (ConflictError, ReplayedSignatureError):  # another process was faster
        return private, False
    return private, True
