"""An executor's key becomes known: it signs its registration, the registry logs it."""

from __future__ import annotations

from django.conf import settings

from assay.dsse import parse_compact
from inference.services.asking import executor
from ledger.services import newest_checkpoint
from registry.choices import KeyRole
from registry.errors import ConflictError, ReplayedSignatureError
from registry.models import Key
from registry.services.keys import register_service_key


def enrol(*, name: str = "") -> str:
    """Register the key of the executor that answers; return its fingerprint. Idempotent.

    Raises:
        ExecutorError, ExecutorUnavailableError: it does not answer.
        RegistryError: the registry refuses the registration.
    """
    client = executor()
    fingerprint = client.identity().fingerprint
    if Key.objects.filter(pk=fingerprint).exists():
        return fingerprint
    note = newest_checkpoint().note.decode()
    envelope = client.register(owner=settings.LEDGER_ORIGIN, checkpoint=note)
    try:
        register_service_key(parse_compact(envelope), KeyRole.EXECUTOR, name=name)
    except (ConflictError, ReplayedSignatureError):
        if not Key.objects.filter(pk=fingerprint).exists():
            raise
    return fingerprint
