"""Models, revisions, keys and releases with fixed content, made by the services themselves."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from django.contrib.auth.models import AbstractBaseUser

from assay.dsse import P256_ORDER, Envelope, PublicKey, public_key_of, sign
from assay.statements import (
    AliasPredicate,
    CardPredicate,
    KeyPredicate,
    Observed,
    ReleasePredicate,
    Subject,
    render,
)
from ledger import services as ledger
from registry import claims, selectors
from registry.choices import ClaimKind, Visibility
from registry.models import Alias, AliasMove, Blob, Key, Model, Release, Revision
from registry.services import aliases, contents, keys, models, releases, revisions
from tests.people import Person

DATA = Path(__file__).parent / "data"
ONNX = (DATA / "double.onnx").read_bytes()
CARD = b"---\nlicense: mit\ntags: [tests]\n---\n# Double\n\nAdds a tensor to itself.\n"
REPORT: dict[str, Any] = {
    "verdict": "passed",
    "findings": [],
    "facts": {
        "ir_version": 8,
        "opsets": {"ai.onnx": 17},
        "producer": "assay-tests",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": ["n", 2]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": ["n", 2]}],
        "operators": {"Add": 1},
        "nodes": 1,
        "parameters": 0,
        "initializers_bytes": 0,
        "functions": 0,
        "external": [],
    },
    "trial": {"load_ms": 1.0, "run_ms": 1.0, "ok": True, "reason": ""},
}


@cache
def private_key(name: str) -> ec.EllipticCurvePrivateKey:
    """Return the P-256 key of that name, always the same."""
    secret = int.from_bytes(hashlib.sha256(f"registry test key {name}".encode()).digest(), "big")
    return ec.derive_private_key(secret % P256_ORDER, ec.SECP256R1())


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A publisher's key: the private half, the public half and the registered row."""

    private: ec.EllipticCurvePrivateKey
    public: PublicKey
    row: Key

    @property
    def fingerprint(self) -> str:
        return self.public.fingerprint


def observed() -> Observed:
    """Return the newest checkpoint; opens the log where that has not happened."""
    ledger.ensure_log()
    return ledger.observed()


def key_envelope(
    private: ec.EllipticCurvePrivateKey,
    owner: str,
    *,
    signer: ec.EllipticCurvePrivateKey | None = None,
    **changes: Any,
) -> Envelope:
    """Return the `key` statement about `private`, signed by it or by `signer`."""
    public = public_key_of(private.public_key())
    fields: dict[str, Any] = {
        "observed": observed(),
        "action": "register",
        "owner": owner,
        "role": "publisher",
        "public_key": public.pem,
        "previous": None,
    }
    predicate = KeyPredicate(**{**fields, **changes})
    statement = predicate.statement([Subject(name="", sha256=public.fingerprint)])
    return sign(render(statement), signer or private)


def make_key(person: Person, name: str = "") -> KeyPair:
    """Register the key called `name` (by default the person's) for `person`."""
    private = private_key(name or person.name)
    row = keys.register(person.user, key_envelope(private, person.name), name="a test's key")
    return KeyPair(private=private, public=public_key_of(private.public_key()), row=row)


def store_blob(data: bytes, user: AbstractBaseUser) -> Blob:
    """Store `data` as content that `user` holds."""
    return contents.store(user, data)


def make_model(person: Person, name: str = "double", visibility: str = Visibility.PUBLIC) -> Model:
    """Make an empty model of `person`."""
    return models.create(person.user, name=name, visibility=visibility)


def make_revision(
    person: Person,
    model: Model | None = None,
    files: Mapping[str, bytes] | None = None,
    *,
    report: Mapping[str, Any] | None = REPORT,
) -> Revision:
    """Commit `files` (by default a model and its card) and record the inspection's `report`.

    A report of None leaves the revision waiting.
    """
    model = model or make_model(person)
    tree = {"model.onnx": ONNX, "README.md": CARD} if files is None else files
    model.refresh_from_db()
    revision = revisions.commit(
        person.user,
        model,
        files=[(path, store_blob(data, person.user).sha256) for path, data in tree.items()],
        parent=model.head_id,
        message="A test",
    )
    if report is not None:
        revisions.record_inspection(revision.pk, report)
    return selectors.find_revision(model, revision.pk, person.user)


def make_claims(
    revision: Revision, private: ec.EllipticCurvePrivateKey, version: str = "1.0.0"
) -> dict[ClaimKind, Envelope]:
    """Sign what a release of `revision` has to say."""
    want = claims.expected(revision)
    seen = observed()
    release = ReleasePredicate(observed=seen, **want.release_predicate(version))
    card = CardPredicate(observed=seen, **want.card_predicate())
    subjects = [Subject(name=path, sha256=sha256) for path, sha256 in want.files]
    return {
        ClaimKind.MODEL_SIGNATURE: sign(want.manifest.oms_statement(revision.model.name), private),
        ClaimKind.CARD: sign(
            render(card.statement([Subject(name="README.md", sha256=want.card)])), private
        ),
        ClaimKind.RELEASE: sign(render(release.statement(subjects)), private),
    }


def publish_release(
    person: Person,
    revision: Revision | None = None,
    *,
    version: str = "1.0.0",
    key: KeyPair | None = None,
) -> Release:
    """Release `revision` (by default a new model's) of `person` with their key."""
    revision = revision or make_revision(person)
    row = Key.objects.filter(owner=person.owner).first()
    pair = key or (make_key(person) if row is None else known_key(row, person))
    request = releases.Request(
        revision=revision.pk,
        version=version,
        notes="",
        envelopes=make_claims(revision, pair.private, version),
        key=pair.fingerprint,
    )
    return releases.publish(person.user, revision.model, request)


def alias_envelope(
    release: Release,
    private: ec.EllipticCurvePrivateKey,
    name: str = "production",
    *,
    previous: str | None = None,
    subject: str = "",
    **changes: Any,
) -> Envelope:
    """Return the `alias` statement that moves `name` to `release`, from the revision `previous`."""
    fields: dict[str, Any] = {
        "observed": observed(),
        "model": release.model.full_name,
        "alias": name,
        "revision": release.revision_id,
        "previous": previous,
    }
    predicate = AliasPredicate(**{**fields, **changes})
    about = Subject(name="", sha256=subject or release.revision.manifest)
    return sign(render(predicate.statement([about])), private)


def move_alias(
    person: Person,
    release: Release,
    name: str = "production",
    private: ec.EllipticCurvePrivateKey | None = None,
) -> AliasMove:
    """Move the alias `name` to `release`, wherever it stands, by the key of `person`."""
    private = private or private_key(person.name)
    found = Alias.objects.select_related("release").filter(model=release.model, name=name).first()
    envelope = alias_envelope(
        release,
        private,
        name,
        previous=found.release.revision_id if found else None,
    )
    key = public_key_of(private.public_key()).fingerprint
    return aliases.move(person.user, release.model, name, envelope, key)


def known_key(row: Key, person: Person) -> KeyPair:
    """Return the pair of a key that `make_key(person)` registered."""
    private = private_key(person.name)
    return KeyPair(private=private, public=public_key_of(private.public_key()), row=row)


def set_mtime(path: Path, at: float) -> None:
    """Make `path` as old as `at`, in POSIX seconds."""
    os.utime(path, (at, at))
