"""The key of the registry's own auditor: apart from the executor's, registered like it."""

from __future__ import annotations

import contextlib

from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings

from assay.dsse import public_key_of, sign
from assay.statements import KeyPredicate, Subject, render
from ledger import services as ledger
from registry.choices import KeyRole, KeyState
from registry.errors import ConflictError, ReplayedSignatureError
from registry.keyfile import load_or_create_key
from registry.models import Key
from registry.services.keys import register_service_key


def ensure_auditor_key() -> ec.EllipticCurvePrivateKey:
    """Return the auditor's key; make the file and register the key when that has not happened.

    Raises:
        MisuseError: the key file is unusable.
        LogBusyError: the log is not open yet.
    """
    private = load_or_create_key(settings.AUDITOR_KEY)
    public = public_key_of(private.public_key())
    if Key.objects.filter(pk=public.fingerprint).exists():
        return private
    predicate = KeyPredicate(
        observed=ledger.observed(),
        action="register",
        owner=settings.LEDGER_ORIGIN,
        role=KeyRole.AUDITOR.value,
        public_key=public.pem,
        previous=None,
    )
    statement = predicate.statement([Subject(name="", sha256=public.fingerprint)])
    # Another auditor with this file may be faster.
    with contextlib.suppress(ConflictError, ReplayedSignatureError):
        register_service_key(sign(render(statement), private), KeyRole.AUDITOR)
    return private


def own_auditors() -> list[str]:
    """Return the fingerprints of the auditors that are the registry's own."""
    rows = Key.objects.filter(role=KeyRole.AUDITOR, owner=None, state=KeyState.REGISTERED)
    return list(rows.values_list("pk", flat=True))
