"""What an operator may try, end to end, against readers who hold nothing but their own files."""

from __future__ import annotations

from importlib import import_module

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from django.db import DatabaseError, transaction
from securesystemslib import dsse as theirs

from assay.digests import sha256_hex
from assay.dsse import Envelope, PublicKey, verify_envelope
from assay.errors import FormatError, VerificationError
from assay.policy import parse_policy, parse_trusted_root
from assay.statements import MODERATION, Observed
from assay.verify import verify_bundle
from ledger import services as ledger
from ledger.errors import NotIncludedError
from ledger.models import Entry, Payload
from tests.ledger.builders import append_all, claim, private_key, sequence, thing, verified, whole
from tests.ledger.witness import Witness

pytestmark = pytest.mark.django_db


def test_a_claim_that_the_operator_sits_on_has_no_receipt_to_show(wanda: Witness) -> None:
    """T5: what waits looks like what waits, so whoever handed it in knows where to go next."""
    waiting = claim(1).append()
    with pytest.raises(NotIncludedError):
        ledger.receipt(waiting)
    assert ledger.entry_status(waiting).index is None
    sequence()
    assert verified(waiting, 1).index == 0


def test_a_refused_envelope_is_a_standard_one_that_any_other_log_takes() -> None:
    """T5: securesystemslib stands for everybody else who reads DSSE."""
    key = import_module("securesystemslib.signer").SSlibKey.from_crypto(
        private_key("alice").public_key()
    )
    value = claim(1).envelope.to_dict()
    value["signatures"][0]["keyid"] = key.keyid
    assert key.keyid in theirs.Envelope.from_dict(value).verify([key], 1)


def test_what_was_taken_down_keeps_its_leaf_and_the_take_down_is_an_entry(wanda: Witness) -> None:
    """T14: a moderation statement is a claim like any other, and nothing before it goes away."""
    first = append_all(range(3))[0]
    sequence()
    old_receipt = ledger.receipt(first)
    hidden = claim(9, by="registry").append()
    sequence()
    assert Entry.objects.get(pk=hidden).kind == "moderation"
    assert verified(first, 0).index == 0
    assert verified(hidden, 9).index == 3
    for rows in (Entry.objects.filter(pk=first), Payload.objects.all()):
        with pytest.raises(DatabaseError), transaction.atomic():
            rows.delete()
    alice = Entry.objects.get(pk=first)
    old = verify_bundle(
        old_receipt,
        key=PublicKey(spki=bytes(alice.public_key)),
        trusted_root=parse_trusted_root(ledger.trusted_root()),
        predicate_type=MODERATION,
        policy=parse_policy(ledger.witness_policy()),
        file_sha256=sha256_hex(thing(0)),
    )
    assert old.index == 0
    assert whole() == 4


def test_a_tree_that_was_never_published_cannot_have_been_observed(wanda: Witness) -> None:
    """T9: what a statement says it saw is checked against what the log has shown."""
    append_all(range(2))
    sequence()
    seen = ledger.observed()
    assert ledger.is_checkpoint(seen)
    for lie in (
        Observed(origin=seen.origin, tree_size=seen.tree_size + 1, root_hash=seen.root_hash),
        Observed(origin=seen.origin, tree_size=seen.tree_size, root_hash="0" * 64),
        Observed(origin="elsewhere.example", tree_size=2, root_hash=seen.root_hash),
    ):
        assert not ledger.is_checkpoint(lie)


class TestSignaturesOfOneProtocolAreNoneOfAnother:
    """T16."""

    def test_a_signature_over_the_bare_payload_is_no_envelope(self) -> None:
        one = claim(1)
        alice = private_key("alice")
        for message in (one.envelope.payload, one.envelope.pae_sha256, thing(1)):
            bare = alice.sign(message, ec.ECDSA(hashes.SHA256()))
            with pytest.raises(VerificationError):
                verify_envelope(Envelope(payload=one.envelope.payload, signature=bare), one.key)

    def test_the_payload_type_is_signed_with_the_payload(self) -> None:
        good = claim(1).envelope
        with pytest.raises((FormatError, VerificationError)):
            verify_envelope(
                Envelope(payload=good.payload, signature=good.signature, payload_type="text/plain"),
                claim(1).key,
            )
