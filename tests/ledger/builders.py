"""Claims, a sequencer, and what a reader outside would check. Nothing here is random but keys."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec, utils
from django.conf import settings
from django.db import transaction

from assay.digests import sha256_hex
from assay.dsse import P256_ORDER, Envelope, PublicKey, public_key_of, rekor_body, sign
from assay.merkle import leaf_hash
from assay.policy import parse_policy, parse_trusted_root
from assay.statements import MODERATION, ModerationPredicate, Observed, Statement, Subject, render
from assay.verify import Verified, verify_bundle
from ledger import services as ledger
from ledger.choices import Kind
from ledger.keys import load_log_key
from ledger.models import Entry, Log, Payload, Subject as Row
from ledger.sequencer import Sequencer
from ledger.services.check import check_log
from ledger.storage import LogStorage, log_storage
from ledger.witnesses import Asking

OBSERVED = Observed(origin="localhost", tree_size=0, root_hash=sha256_hex(b""))


@cache
def private_key(name: str) -> ec.EllipticCurvePrivateKey:
    """Return the P-256 key of a person, always the same."""
    secret = int.from_bytes(hashlib.sha256(f"ledger test key of {name}".encode()).digest(), "big")
    return ec.derive_private_key(secret % P256_ORDER, ec.SECP256R1())


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A signed statement, and who signed it."""

    envelope: Envelope
    key: PublicKey
    statement: Statement

    def append(self, *, model: str = "") -> int:
        """Hand it to the log, as a service does."""
        with transaction.atomic():
            return ledger.append(self.envelope, self.key, self.statement, model=model)

    def new(self) -> ledger.NewClaim:
        """It, as `append_many` takes it."""
        return ledger.NewClaim(envelope=self.envelope, key=self.key, statement=self.statement)

    def twin(self) -> Claim:
        """The same claim under its malleable twin signature (r, n - s)."""
        r, s = utils.decode_dss_signature(self.envelope.signature)
        signature = utils.encode_dss_signature(r, P256_ORDER - s)
        envelope = Envelope(payload=self.envelope.payload, signature=signature)
        return Claim(envelope=envelope, key=self.key, statement=self.statement)


def thing(number: int) -> bytes:
    """Return the bytes that claim `number` is about."""
    return f"thing {number}".encode()


def claim(number: int, *, by: str = "alice") -> Claim:
    """Return moderation statement `number`, signed by `by`."""
    predicate = ModerationPredicate(
        observed=OBSERVED,
        action="hide",
        category=f"category {number}",
        reason="a test",
    )
    subject = Subject(name=f"thing-{number}", sha256=sha256_hex(thing(number)))
    return signed(predicate.statement([subject]), by=by)


def signed(statement: Statement, *, by: str = "alice") -> Claim:
    """Sign any statement."""
    key = private_key(by)
    return Claim(
        envelope=sign(render(statement), key),
        key=public_key_of(key.public_key()),
        statement=statement,
    )


def sequencer(storage: LogStorage | None = None, asking: Asking | None = None) -> Sequencer:
    """Return a fresh sequencer of the log, recovered: what a restart gives. Earlier ones end."""
    made = Sequencer(
        settings.LEDGER_ORIGIN,
        storage=storage or log_storage(),
        key=load_log_key(settings.LEDGER_KEY),
        asking=asking,
    )
    made.recover()
    return made


def sequence() -> None:
    """Give everything that waits its place in the log, and publish it."""
    leader = sequencer()
    while leader.cycle():
        pass


def append_all(numbers: range, *, by: str = "alice") -> list[int]:
    """Append claims; return the primary keys of their entries."""
    return [claim(number, by=by).append() for number in numbers]


def append_many(numbers: range) -> None:
    """Write the rows that `append_all` would write, without its checks: for long logs."""
    log = Log.objects.get(origin=settings.LEDGER_ORIGIN)
    claims = [claim(number) for number in numbers]
    payloads = [
        Payload(
            pae_sha256=one.envelope.pae_sha256,
            payload_type=one.envelope.payload_type,
            payload=one.envelope.payload,
        )
        for one in claims
    ]
    Payload.objects.bulk_create(payloads)
    entries = Entry.objects.bulk_create(
        Entry(
            log=log,
            payload=payload,
            signature=one.envelope.signature,
            public_key=one.key.spki,
            fingerprint=one.key.fingerprint,
            leaf_hash=leaf_hash(
                rekor_body(one.envelope.pae_sha256, one.envelope.signature, one.key.spki)
            ),
            kind=Kind.MODERATION,
        )
        for one, payload in zip(claims, payloads, strict=True)
    )
    Row.objects.bulk_create(
        Row(entry=entry, name=subject.name, sha256=subject.sha256)
        for one, entry in zip(claims, entries, strict=True)
        for subject in one.statement.subjects
    )


def whole() -> int:
    """Recompute the log; return its size."""
    return check_log(lambda done, size: None)


def verified(entry_id: int, number: int) -> Verified:
    """Verify an entry's bundle as a stranger does who has the thing at hand."""
    entry = Entry.objects.get(pk=entry_id)
    return verify_bundle(
        ledger.receipt(entry_id),
        key=PublicKey(spki=bytes(entry.public_key)),
        trusted_root=parse_trusted_root(ledger.trusted_root()),
        predicate_type=MODERATION,
        policy=parse_policy(ledger.witness_policy()),
        file_sha256=sha256_hex(thing(number)),
    )
