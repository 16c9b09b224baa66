"""A build service's issuer of ID tokens: a real HTTP server with keys that it may change."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

CONFIGURATION = "/.well-known/openid-configuration"
JWKS = "/.well-known/jwks"
Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _int(value: int) -> str:
    return b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def jwk(kid: str, private: Private, **changes: Any) -> dict[str, Any]:
    """Return the public half of a key as a JSON Web Key."""
    if isinstance(private, rsa.RSAPrivateKey):
        numbers = private.public_key().public_numbers()
        found = {"kty": "RSA", "n": _int(numbers.n), "e": _int(numbers.e), "alg": "RS256"}
    else:
        point = private.public_key().public_numbers()
        sides = {"x": b64(point.x.to_bytes(32, "big")), "y": b64(point.y.to_bytes(32, "big"))}
        found = {"kty": "EC", "crv": "P-256", "alg": "ES256", **sides}
    return {"kid": kid, "use": "sig", **found, **changes}


def public_pem(private: Private) -> bytes:
    return private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@dataclass
class Issuer:
    """What the server answers: `keys` are published, `asked` are the paths it was asked for."""

    url: str
    rsa: rsa.RSAPrivateKey
    ec: ec.EllipticCurvePrivateKey
    keys: list[dict[str, Any]] = field(default_factory=list)
    documents: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    serial: int = 0

    def answer(self, path: str) -> tuple[int, bytes]:
        self.asked.append(path)
        standard = {
            CONFIGURATION: {"issuer": self.url, "jwks_uri": self.url + JWKS},
            JWKS: {"keys": self.keys},
        }
        found = {**standard, **self.documents}.get(path)
        if isinstance(found, int):
            return found, b""
        return (404, b"") if found is None else (200, json.dumps(found).encode())

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return the claims of the next run of alice's workflow, as GitHub spells them."""
        self.serial += 1
        now = int(time.time())
        found = {
            "iss": self.url,
            "aud": "https://assay.example.org",
            "jti": f"run-{self.serial}",
            "iat": now,
            "nbf": now,
            "exp": now + 300,
            "sub": "repo:alice/digits:ref:refs/heads/main",
            "repository": "alice/digits",
            "repository_id": "1001",
            "repository_owner": "alice",
            "repository_owner_id": "17",
            "job_workflow_ref": "alice/digits/.github/workflows/release.yml@refs/heads/main",
            "ref": "refs/heads/main",
            "sha": "ab" * 20,
            "environment": "production",
            "event_name": "push",
            "actor": "alice",
            "run_id": "42",
            "run_attempt": "1",
            **changes,
        }
        return {name: value for name, value in found.items() if value is not None}

    def token(self, key: str = "rsa", header: dict[str, Any] | None = None, **changes: Any) -> str:
        """Return a signed token; `key` is `rsa` or `ec`."""
        algorithm = "RS256" if key == "rsa" else "ES256"
        head = {"alg": algorithm, "typ": "JWT", "kid": key, **(header or {})}
        return self.sign(head, self.claims(**changes), key)

    def sign(self, header: dict[str, Any], claims: dict[str, Any], key: str) -> str:
        message = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
        return f"{message}.{b64(self._signature(message.encode(), key))}"

    def _signature(self, message: bytes, key: str) -> bytes:
        if key == "rsa":
            return self.rsa.sign(message, padding.PKCS1v15(), hashes.SHA256())
        if key == "ec":
            der = self.ec.sign(message, ec.ECDSA(hashes.SHA256()))
            r, s = utils.decode_dss_signature(der)
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        if key == "hmac":  # the classic: the public key as a shared secret
            return hmac.digest(public_pem(self.rsa), message, hashlib.sha256)
        return b""


_RSA = rsa.generate_private_key(65537, 2048)


@contextmanager
def running() -> Iterator[Issuer]:
    """Serve an issuer on this machine."""
    issuer = Issuer(url="", rsa=_RSA, ec=ec.generate_private_key(ec.SECP256R1()))
    issuer.keys = [jwk("rsa", issuer.rsa), jwk("ec", issuer.ec)]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = issuer.answer(self.path)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", issuer.url + "/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
