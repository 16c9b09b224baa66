"""Settings that contradict each other, and what browsers need of the site's address."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks

from config.doctor.findings import Finding, fault, good, warning

_EMBEDDED = "The embedded servers have no passwords and no TLS: they are for this machine alone."


def check_settings() -> Iterator[Finding]:
    """Run Django's system checks and those of our apps; look at what no check of theirs knows."""
    found = checks.run_checks()
    for one in found:
        say = fault if one.level >= checks.ERROR else warning
        yield say(f"{one.msg} ({one.id})", one.hint or "See the reference of the settings.")
    wrong = list(_open_to_others()) if not settings.SITE_IS_LOCAL else []
    yield from wrong
    if not found and not wrong:
        yield good("consistent")


def _open_to_others() -> Iterator[Finding]:
    """Look at what is right for a laptop and wrong for a site that others reach."""
    if settings.DEBUG:
        yield fault("DEBUG is on, on a site that others reach", "Set DEBUG=0.")
    for name, own, used in (
        ("DATABASE_URL", settings.POSTGRES.url, settings.DATABASE_URL),
        ("CELERY_BROKER_URL", settings.REDIS.broker_url, settings.CELERY_BROKER_URL),
    ):
        if own == used:
            yield fault(f"{name} is not set: {_EMBEDDED}", f"Set {name} to a server of yours.")
    if settings.LEDGER_ORIGIN == "localhost":
        yield fault(
            "LEDGER_ORIGIN is localhost, which every laptop has: nobody can tell such logs apart",
            "Set LEDGER_ORIGIN and LEDGER_URL before the first start; it cannot change later.",
        )
    if settings.ACCOUNT_EMAIL_VERIFICATION != "mandatory":
        yield warning(
            "anybody can sign up with an e-mail address that is not theirs",
            "Set ACCOUNT_EMAIL_VERIFICATION=mandatory.",
        )


def check_site() -> Iterator[Finding]:
    """Tell whether browsers give this address keys and passkeys: a secure context, and a name."""
    parts = urlsplit(settings.SITE_URL)
    host = parts.hostname or ""
    if parts.scheme != "https" and not settings.SITE_IS_LOCAL:
        yield fault(
            f"{settings.SITE_URL} is no secure context: browsers neither sign nor check here",
            "Serve the site over https, and set SITE_URL to that address.",
        )
        return
    yield good(f"{settings.SITE_URL} is a secure context: browsers sign and check there")
    if _is_number(host):
        yield warning(
            f"passkeys are bound to names, and {host} is a number",
            "Go to the site by localhost, or give it a name.",
        )
    if parts.scheme == "https" and not settings.SECURE_PROXY_SSL_HEADER:
        yield warning(
            "no request looks as if it came by https: forms and links may name http",
            "Let the proxy set X-Forwarded-Proto, and set SECURE_PROXY_SSL_HEADER to that name.",
        )
    if parts.scheme == "https" and not settings.SECURE_HSTS_SECONDS:
        yield warning(
            "browsers may be led to http once", "Set SECURE_HSTS_SECONDS, for example to 31536000."
        )


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def check_mail() -> Iterator[Finding]:
    """Tell whether letters reach anybody."""
    if not settings.EMAIL_BACKEND.endswith(".filebased.EmailBackend"):
        yield good(f"letters are sent from {settings.DEFAULT_FROM_EMAIL}")
    elif settings.SITE_IS_LOCAL:
        yield good(f"letters are not sent: they are written to {settings.EMAIL_FILE_PATH}")
    else:
        yield fault(
            "letters are not sent: nobody can confirm an address or reset a password",
            "Set EMAIL_BACKEND=django.core.mail.backends.smtp.EmailBackend and EMAIL_HOST.",
        )


def check_static() -> Iterator[Finding]:
    """Tell whether the files of the pages were collected."""
    root = Path(settings.STATIC_ROOT)
    if (root / "css").is_dir():
        yield good(f"collected in {root}")
    else:
        yield fault(f"{root} lacks the files of the pages", "Run `manage.py collectstatic`.")
