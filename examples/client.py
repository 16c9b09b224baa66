"""A publisher's program: upload a folder, sign it with a key file, release it.

It uses nothing of the server, only its REST API and the verifier's own formats, so it is also an
example of how a build machine may publish.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from assay.canonical import canonical_json
from assay.dsse import PublicKey, public_key_of, sign
from assay.manifest import Manifest
from assay.statements import (
    CardPredicate,
    KeyPredicate,
    Observed,
    ReleasePredicate,
    Subject,
    render,
)

PART_BYTES = 8 * 2**20
PATIENCE_S = 120.0


class PublishError(Exception):
    """The site refused a step; the message has its code and its words, `status` the number."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


def load_or_make_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Return the P-256 key in `path` (PKCS#8 PEM, mode 0600), made when there is none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        draft = path.with_name(path.name + ".new")
        draft.touch(mode=0o600)
        draft.write_bytes(pem)
        draft.rename(path)
    loaded = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise PublishError(f"{path} holds no P-256 key")
    return loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One site and one token."""

    url: str
    token: str

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Call `/api/v1/<path>`; `body` is JSON, or bytes as they are.

        Raises:
            PublishError: any answer from 400.
        """
        data = body if isinstance(body, bytes) or body is None else canonical_json(body)
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        request = urllib.request.Request(  # noqa: S310 (the caller's own site)
            f"{self.url}/api/v1/{path}",
            data=data,
            method=method,
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": kind, **headers},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 (as above)
                return json.load(answer)
        except urllib.error.HTTPError as error:
            words = error.read().decode("utf-8", "replace")
            raise PublishError(f"{method} {path}: {error.code} {words}", error.code) from error

    def exists(self, path: str) -> Any:
        """Return what `GET` answers, or None for 404."""
        try:
            return self.call("GET", path)
        except PublishError as error:
            if error.status == 404:
                return None
            raise

    def upload(self, content: bytes) -> str:
        """Bring `content` to the site unless it is there; return its SHA-256."""
        digest = hashlib.sha256(content).hexdigest()
        wish = {"size": len(content), "sha256": digest, "part_size": PART_BYTES}
        upload = self.call("POST", "uploads", wish)
        if upload["state"] == "stored":
            return digest
        for number in upload["missing"]:
            part = content[number * PART_BYTES : (number + 1) * PART_BYTES]
            told = base64.b64encode(hashlib.sha256(part).digest()).decode()
            headers = {"Content-Digest": f"sha-256=:{told}:"}
            self.call("PUT", f"uploads/{upload['id']}/parts/{number}", part, **headers)
        self.call("POST", f"uploads/{upload['id']}/complete", {})
        self.wait(f"uploads/{upload['id']}", ("stored",))
        return digest

    def wait(self, path: str, good: Iterable[str]) -> Any:
        """Ask `path` until its state is one of `good`.

        Raises:
            PublishError: the state became `failed`, or nothing happened for two minutes.
        """
        wanted = tuple(good)
        end = time.monotonic() + PATIENCE_S
        while True:
            answer = self.call("GET", path)
            if answer["state"] in wanted:
                return answer
            if answer["state"] == "failed" or time.monotonic() > end:
                raise PublishError(f"{path}: {answer}")
            time.sleep(0.2)


def register_key(client: Client, key: ec.EllipticCurvePrivateKey, owner: str) -> PublicKey:
    """Register `key` as a publisher's key of `owner`, unless it is; return its public half."""
    public = public_key_of(key.public_key())
    if client.exists(f"keys/{public.fingerprint}") is None:
        predicate = KeyPredicate(
            observed=observed(client.call("GET", "ledger/head")),
            action="register",
            owner=owner,
            role="publisher",
            public_key=public.pem,
            previous=None,
        )
        statement = predicate.statement([Subject(name="spki.der", sha256=public.fingerprint)])
        envelope = sign(render(statement), key)
        body = {"envelope": envelope.to_dict(), "name": "key file"}
        client.call("POST", "keys", body)
    return public


def observed(head: dict[str, Any]) -> Observed:
    """Return the checkpoint that the site shows, as statements spell it."""
    return Observed(origin=head["origin"], tree_size=head["size"], root_hash=head["root"])


def publish(
    client: Client, key: ec.EllipticCurvePrivateKey, owner: str, name: str, folder: Path
) -> str:
    """Publish `folder` as `owner/name`; return the version, also when it was published before.

    Raises:
        PublishError: the site refused a step.
    """
    public = register_key(client, key, owner)
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".template.md")
    }
    manifest = Manifest.from_pairs(
        (path, hashlib.sha256(content).hexdigest()) for path, content in files.items()
    )
    model = client.exists(f"models/{owner}/{name}")
    if model is None:
        model = client.call("POST", "models", {"owner": owner, "name": name})
    for release in client.call("GET", f"models/{owner}/{name}/releases")["items"]:
        if release["manifest"] == manifest.digest:
            return str(release["version"])
    tree = [{"path": path, "sha256": client.upload(content)} for path, content in files.items()]
    commit = {"files": tree, "parent": model["head"], "message": "Publish the folder"}
    revision = client.call("POST", f"models/{owner}/{name}/revisions", commit)
    here = f"models/{owner}/{name}/revisions/{revision['id']}"
    client.wait(here, ("passed", "flagged"))
    asked = client.call("GET", f"{here}/signing")
    if asked["manifest"] != manifest.digest:
        raise PublishError(f"the site would have us sign {asked['manifest']}, not our folder")
    return release_revision(client, key, public, manifest, asked)


def release_revision(
    client: Client,
    key: ec.EllipticCurvePrivateKey,
    public: PublicKey,
    manifest: Manifest,
    asked: dict[str, Any],
) -> str:
    """Sign the three statements of a release and hand them in; return the version."""
    seen = Observed.from_dict(asked["observed"])
    version = asked["next_version"]
    card_digest = asked["card"]["sha256"]
    about = {"model": asked["model"], "revision": asked["revision"], "manifest": asked["manifest"]}
    card = CardPredicate(observed=seen, metadata=asked["card"]["metadata"], **about)
    release = ReleasePredicate(
        observed=seen,
        version=version,
        card=card_digest,
        license=asked["license"],
        previous=asked["previous"],
        **about,
    )
    subjects = [Subject(name=item["path"], sha256=item["sha256"]) for item in asked["files"]]
    payloads = {
        "oms": manifest.oms_statement(asked["model"].partition("/")[2]),
        "card": render(card.statement([Subject(name="README.md", sha256=card_digest)])),
        "release": render(release.statement(subjects)),
    }
    body = {
        "revision": asked["revision"],
        "version": version,
        "notes": "",
        "key": public.fingerprint,
        "claims": {kind: sign(payload, key).to_dict() for kind, payload in payloads.items()},
    }
    client.call("POST", f"models/{asked['model']}/releases", body)
    return str(version)
