"""The key of the registry's own auditor: apart from the executor's, registered like it."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings

from registry.choices import KeyRole, KeyState
from registry.models import Key
from registry.services.own_key import ensure_service_key


def ensure_auditor_key() -> ec.EllipticCurvePrivateKey:
    """Return the auditor's key; make the file and register the key when that has not happened.

    Raises:
        MisuseError: the key file is unusable.
        LogBusyError: the log is not open yet.
    """
    private, _ = ensure_service_key(settings.AUDITOR_KEY, KeyRole.AUDITOR)
    return private


def own_auditors() -> list[str]:
    """Return the fingerprints of the auditors that are the registry's own."""
    rows = Key.objects.filter(role=KeyRole.AUDITOR, owner=None, state=KeyState.REGISTERED)
    return list(rows.values_list("pk", flat=True))
