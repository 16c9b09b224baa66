"""A whole log made by a test: signed claims, tiles, bundles, envelopes and checkpoints.

The keys are known to everybody: the log's is 32 zero bytes, alice's P-256 key is the number 1, and
so on. `files` gives what stands under the log's prefix, by path, to be served or to be bent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assay.canonical import canonical_json
from assay.digests import sha256_hex
from assay.dsse import Envelope, PublicKey, public_key_of, rekor_body, sign
from assay.merkle import leaf_hash, root_of
from assay.note import cosign_line, parse_note, render as render_note
from assay.policy import log_key, render_trusted_root
from assay.statements import (
    AliasPredicate,
    KeyPredicate,
    ModerationPredicate,
    Observed,
    Subject,
    render,
)
from assay.statements.predicates import Predicate
from assay.tiles import TILE_WIDTH, Tile, encode_entries, tiles_for
from tests.assay.views import LOG, ORIGIN, SIGNER, note_over

REVISION = "4f631084a157c54f54fcfb23ff5eb8650c4ba160"
OBSERVED = Observed(origin=ORIGIN, tree_size=0, root_hash=sha256_hex(b""))
TRUSTED_ROOT = render_trusted_root(
    [log_key(f"https://{ORIGIN}/log", SIGNER.public_key(), "2026-01-01T00:00:00Z")]
)


@cache
def person(number: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(number, ec.SECP256R1())


ALICE, BOB, MALLORY = person(1), person(2), person(3)


def public(key: ec.EllipticCurvePrivateKey) -> PublicKey:
    return public_key_of(key.public_key())


def fingerprint(key: ec.EllipticCurvePrivateKey) -> str:
    return public(key).fingerprint


@dataclass
class Logbook:
    """The log of `ORIGIN`: the bodies of its entries and the envelopes that they are about."""

    bodies: list[bytes] = field(default_factory=list)
    envelopes: dict[str, Envelope] = field(default_factory=dict)

    def copy(self) -> Self:
        return replace(self, bodies=list(self.bodies), envelopes=dict(self.envelopes))

    def add(self, payload: bytes, key: ec.EllipticCurvePrivateKey = ALICE) -> Envelope:
        """Log what `key` signs; any bytes will do."""
        envelope = sign(payload, key)
        self.envelopes[envelope.pae_sha256.hex()] = envelope
        self.bodies.append(rekor_body(envelope.pae_sha256, envelope.signature, public(key).spki))
        return envelope

    def state(
        self,
        predicate: Predicate,
        key: ec.EllipticCurvePrivateKey = ALICE,
        *,
        name: str = "thing",
        sha256: str = "ab" * 32,
    ) -> Envelope:
        """Log a statement of `key` about one subject."""
        return self.add(render(predicate.statement([Subject(name=name, sha256=sha256)])), key)

    def point(
        self, alias: str, model: str = "alice/digits", key: ec.EllipticCurvePrivateKey = ALICE
    ) -> Envelope:
        """Log that `alias` of `model` points at a revision: the shortest claim about a model."""
        predicate = AliasPredicate(
            observed=OBSERVED, model=model, alias=alias, revision=REVISION, previous=None
        )
        return self.state(predicate, key)

    def register(
        self, key: ec.EllipticCurvePrivateKey, owner: str, action: str = "register"
    ) -> Envelope:
        """Log a statement about `key`, by itself."""
        predicate = KeyPredicate(
            observed=OBSERVED,
            action=action,
            owner=owner,
            role="publisher",
            public_key=public(key).pem,
            previous=None,
        )
        return self.state(predicate, key, sha256=fingerprint(key))

    def moderate(self, model: str, action: str = "hide", sha256: str = "ab" * 32) -> Envelope:
        """Log that the registry did something to a model, or (`sha256`) to a key."""
        predicate = ModerationPredicate(
            observed=OBSERVED, action=action, category="spam", reason="because"
        )
        return self.state(predicate, BOB, name=model, sha256=sha256)

    def fill(self, count: int, mark: str = "v") -> Self:
        """Log short claims until there are `count` entries."""
        while len(self.bodies) < count:
            self.point(f"{mark}{len(self.bodies)}")
        return self

    @property
    def leaves(self) -> list[bytes]:
        return [leaf_hash(body) for body in self.bodies]

    def note(self, size: int | None = None) -> bytes:
        """The signed checkpoint over the first `size` entries, over all without one."""
        return note_over(self.leaves[:size])

    def files(self, *sizes: int) -> dict[str, bytes]:
        """Return the log's files once checkpoints of `sizes` and of all entries were published."""
        tiles = {tile for size in (*sizes, len(self.bodies)) for tile in tiles_for(size)}
        found = {tile.path: self._tile(tile) for tile in tiles}
        for digest, envelope in self.envelopes.items():
            found[f"envelopes/{digest}"] = canonical_json(envelope.to_dict())
        return {**found, "checkpoint": self.note()}

    def _tile(self, tile: Tile) -> bytes:
        first, last = tile.index * TILE_WIDTH, tile.index * TILE_WIDTH + tile.width
        if tile.level is None:
            return encode_entries(self.bodies[first:last])
        leaves, span = self.leaves, TILE_WIDTH**tile.level
        return b"".join(root_of(leaves[at * span : (at + 1) * span]) for at in range(first, last))


def cosigned(note: bytes, *witnesses: tuple[str, Ed25519PrivateKey]) -> bytes:
    """Return `note` with the cosignatures of `witnesses`, pairs of name and key."""
    signed = parse_note(note)
    lines = [cosign_line(signed.text, name, key, 1767225600) for name, key in witnesses]
    return render_note(replace(signed, lines=(*signed.lines, *lines)))


def put(folder: Path, files: dict[str, bytes]) -> Path:
    """Write the files of a log, or of a change to one, into `folder`."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def pages(files: dict[str, bytes], prefix: str = "/log") -> dict[str, bytes]:
    """Return the files as pages of a web server."""
    return {f"{prefix}/{name}": data for name, data in files.items()}


def pinned(folder: Path, *lines: str, quorum: str = "none") -> Iterable[str]:
    """Write a trusted root and a policy into `folder`; return the options that name them."""
    folder.mkdir(parents=True, exist_ok=True)
    root, policy = folder / "trusted_root.json", folder / "policy.txt"
    root.write_bytes(TRUSTED_ROOT)
    policy.write_text("".join(f"{line}\n" for line in (f"log {LOG}", *lines, f"quorum {quorum}")))
    return ("--trusted-root", str(root), "--policy", str(policy))
