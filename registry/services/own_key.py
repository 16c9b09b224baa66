"""The key of the registry itself: moderation, and registrations that it countersigns."""

from __future__ import annotations

from django.conf import settings

from assay.dsse import public_key_of, sign
from assay.statements import KeyPredicate, Subject, render
from ledger import services as ledger
from registry.choices import KeyRole
from registry.errors import ConflictError, ReplayedSignatureError
from registry.keyfile import load_or_create_key
from registry.models import Key
from registry.services import keys


def ensure_registry_key() -> tuple[str, bool]:
    """Make the key file and register the key when that has not happened; safe to repeat.

    Returns the fingerprint, and whether it was registered just now.

    Raises:
        MisuseError: the key file is unusable.
        LogBusyError: the log is not open yet.
    """
    private = load_or_create_key(settings.REGISTRY_KEY)
    public = public_key_of(private.public_key())
    if Key.objects.filter(pk=public.fingerprint).exists():
        return public.fingerprint, False
    predicate = KeyPredicate(
        observed=ledger.observed(),
        action="register",
        owner=settings.LEDGER_ORIGIN,
        role=KeyRole.REGISTRY.value,
        public_key=public.pem,
        previous=None,
    )
    statement = predicate.statement([Subject(name="", sha256=public.fingerprint)])
    try:
        keys.register_service_key(sign(render(statement), private), KeyRole.REGISTRY)
    except (ConflictError, ReplayedSignatureError):  # another process was faster
        return public.fingerprint, False
    return public.fingerprint, True
