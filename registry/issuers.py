"""The keys of trusted issuers, fetched by OpenID Connect Discovery and remembered for a while.

What may be fetched is bounded, so that no token sends this server anywhere (request forgery):

1. Only an issuer that the operator named in TRUSTED_ISSUERS, compared letter by letter before
   anything is asked of the network. It is `https`; `http` on this machine's own addresses is for
   tests and for trying it out.
2. The document under `/.well-known/openid-configuration` names the same issuer, and its `jwks_uri`
   lies at the same scheme, host and port.
3. Redirects are not followed, an answer has a size and a time.

A key set is remembered for ten minutes in each process. A token with a key that it does not hold
lets it be fetched anew, since issuers change their keys; at most once in `AGAIN_S` seconds for each
issuer, so that made-up tokens do not make us a nuisance. While an issuer does not answer, what is
remembered serves for an hour.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from assay.canonical import parse_json
from assay.errors import AssayError
from assay.fetch import Session
from registry.errors import BadTokenError, IssuerAwayError, UntrustedIssuerError
from registry.idtoken import Keys, Token, UnknownKidError, parse_jwks, peek_issuer, verify

FRESH_S, STALE_S, AGAIN_S = 600.0, 3600.0, 30.0
TIMEOUT_S = 5.0
MAX_BYTES = 256 * 1024
DISCOVERY = ".well-known/openid-configuration"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def trusted_issuers() -> list[str]:
    """Return the issuers that the operator trusts, without final slashes."""
    return [issuer.rstrip("/") for issuer in settings.TRUSTED_ISSUERS]


@dataclass(slots=True)
class _Known:
    """What is remembered of one issuer; times are of the clock."""

    keys: Keys = field(default_factory=dict)
    at: float | None = None
    again_at: float | None = None


class Issuers:
    """Checks tokens against the keys of their issuers; one for each process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._guard = threading.Lock()

    def forget(self) -> None:
        """Forget all keys."""
        with self._guard:
            self._known.clear()

    def claims(self, token: Token, *, audience: str, now: int) -> tuple[str, dict[str, object]]:
        """Return issuer and claims of a token that a trusted issuer signed for `audience`.

        Raises:
            UntrustedIssuerError: the issuer is not one of the settings.
            IssuerAwayError: its keys cannot be had.
            BadTokenError: the token is refused.
        """
        issuer = peek_issuer(token)
        if issuer.rstrip("/") not in trusted_issuers():
            raise UntrustedIssuerError(
                "This site takes no tokens of this issuer.", issuer=issuer[:300]
            )
        keys = self._keys(issuer)
        try:
            return issuer, verify(token, keys, issuer=issuer, audience=audience, now=now)
        except UnknownKidError:
            again = self._keys(issuer, anew=True)
            return issuer, verify(token, again, issuer=issuer, audience=audience, now=now)

    def _keys(self, issuer: str, *, anew: bool = False) -> Keys:
        with self._guard:  # one fetch at a time; it is short, and most calls find the keys here
            known = self._known.setdefault(issuer, _Known())
            now = self._clock()
            age = None if known.at is None else now - known.at
            if anew:
                if known.again_at is not None and now - known.again_at < AGAIN_S:
                    return known.keys
                known.again_at = now
            elif age is not None and age < FRESH_S:
                return known.keys
            try:
                known.keys, known.at = fetch_keys(issuer), now
            except IssuerAwayError:
                if age is None or age >= STALE_S:
                    raise
            return known.keys


ISSUERS = Issuers()


def fetch_keys(issuer: str) -> Keys:
    """Fetch the keys of an issuer that is trusted.

    Raises:
        IssuerAwayError: no answer, or one that breaks the rules above.
    """
    base = _split(issuer)
    try:
        with Session(issuer, timeout_s=TIMEOUT_S) as session:
            document = parse_json(session.get(DISCOVERY, limit=MAX_BYTES))
        place = _jwks_uri(document, issuer, base)
        root, _, name = place.path.lstrip("/").rpartition("/")
        where = f"{base.scheme}://{base.netloc}" + (f"/{root}" if root else "")
        with Session(where, timeout_s=TIMEOUT_S) as session:
            return parse_jwks(session.get(name, limit=MAX_BYTES))
    except (AssayError, BadTokenError) as error:
        raise IssuerAwayError(
            f"The keys of {issuer} cannot be had: {error}.", issuer=issuer
        ) from error


def _split(issuer: str) -> SplitResult:
    parts = urlsplit(issuer)
    local = parts.scheme == "http" and parts.hostname in LOOPBACK
    if not parts.hostname or not (parts.scheme == "https" or local):
        raise IssuerAwayError("An issuer's address begins with https://.", issuer=issuer)
    return parts


def _jwks_uri(document: object, issuer: str, base: SplitResult) -> SplitResult:
    if not isinstance(document, dict) or document.get("issuer") != issuer:
        raise BadTokenError("its discovery document is another issuer's")
    uri = document.get("jwks_uri")
    parts = urlsplit(uri) if isinstance(uri, str) else None
    if parts is None or (parts.scheme, parts.netloc) != (base.scheme, base.netloc) or parts.query:
        raise BadTokenError("its keys are said to lie elsewhere")
    return parts
