"""Claims to log, as many as wanted, always the same ones: signed for real, or only shaped so.

Signed ones go through the checks of the intake. Shaped ones have digests and signatures of the
right lengths that verify under no key: a sequencer does not look, and a million of them are cheap.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec
from django.db import connection

from assay.digests import sha256_hex
from assay.dsse import P256_ORDER, public_key_of, rekor_body, sign
from assay.merkle import leaf_hash
from assay.statements import ModerationPredicate, Observed, Subject, render
from ledger.logs import current_log
from ledger.services import NewClaim

PAYLOAD_TYPE = "application/vnd.in-toto+json"
KEY = ec.derive_private_key(
    int.from_bytes(hashlib.sha256(b"assay bench").digest(), "big") % P256_ORDER, ec.SECP256R1()
)
PUBLIC = public_key_of(KEY.public_key())
_PAYLOADS = "COPY ledger_payload (pae_sha256, payload_type, payload, created_at) FROM STDIN"
_ENTRIES = (
    "COPY ledger_entry (log_id, payload_id, signature, public_key, fingerprint, leaf_hash, kind,"
    " model, owner, created_at) FROM STDIN"
)

Shape = tuple[bytes, bytes, bytes, bytes]


def signed(start: int, count: int) -> list[NewClaim]:
    """Return `count` signed moderation statements, from number `start` on."""
    made = []
    for number in range(start, start + count):
        predicate = ModerationPredicate(
            observed=Observed(origin="localhost", tree_size=0, root_hash=sha256_hex(b"")),
            action="hide",
            category="bench",
            reason=f"number {number}",
        )
        subject = Subject(name=f"thing-{number}", sha256=sha256_hex(b"%d" % number))
        statement = predicate.statement([subject])
        made.append(
            NewClaim(envelope=sign(render(statement), KEY), key=PUBLIC, statement=statement)
        )
    return made


def shaped(start: int, count: int) -> Iterator[Shape]:
    """Yield payload digest, payload, signature and leaf hash of `count` claims."""
    for number in range(start, start + count):
        digest = hashlib.sha256(b"shaped %d" % number).digest()
        signature = hashlib.shake_128(digest).digest(71)
        payload = b'{"number":%d,"filler":"%s"}' % (number, b"x" * 450)
        yield digest, payload, signature, leaf_hash(rekor_body(digest, signature, PUBLIC.spki))


def copy_in(rows: list[Shape]) -> None:
    """Store claims as pending rows in one transaction, without any check."""
    log = current_log().pk
    now = datetime.now(UTC)
    with connection.cursor() as cursor:
        with cursor.copy(_PAYLOADS) as copy:
            for digest, payload, _, _ in rows:
                copy.write_row((digest, PAYLOAD_TYPE, payload, now))
        with cursor.copy(_ENTRIES) as copy:
            for digest, _, signature, leaf in rows:
                copy.write_row(
                    (
                        *(log, digest, signature, PUBLIC.spki, PUBLIC.fingerprint, leaf),
                        *("moderation", "", "", now),
                    )
                )
