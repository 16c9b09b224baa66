"""A claim enters the log once, signed, in the caller's transaction."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from assay.digests import sha256_hex
from assay.dsse import public_key_of, rekor_body, sign
from assay.limits import LIMITS
from assay.merkle import leaf_hash
from assay.statements import (
    OMS,
    AliasPredicate,
    KeyPredicate,
    Statement,
    Subject,
    parse_statement,
)
from ledger import services as ledger
from ledger.errors import (
    DuplicateClaimError,
    InvalidEnvelopeError,
    LogBusyError,
    LogDamagedError,
    LogFrozenError,
)
from ledger.models import Entry, Log, Payload
from ledger.services.rows import calm_log
from tests.ledger.builders import (
    OBSERVED,
    append_all,
    claim,
    private_key,
    sequence,
    signed,
    thing,
    whole,
)


def test_alice_appends_and_the_claim_is_durable_before_it_has_an_index(opened: None) -> None:
    one = claim(1)
    entry = Entry.objects.get(pk=one.append(model="alice/digits"))
    body = rekor_body(one.envelope.pae_sha256, one.envelope.signature, one.key.spki)
    assert (entry.index, entry.kind, entry.model) == (None, "moderation", "alice/digits")
    assert entry.fingerprint == one.key.fingerprint
    assert bytes(entry.leaf_hash) == leaf_hash(body)
    assert bytes(entry.payload.payload) == one.envelope.payload
    assert bytes(entry.payload.pae_sha256) == one.envelope.pae_sha256
    assert [(s.name, s.sha256) for s in entry.subjects.all()] == [("thing-1", sha256_hex(thing(1)))]
    assert ledger.entry_for_claim(one.key.fingerprint, one.envelope.pae_sha256) == entry.pk


def test_nothing_is_logged_when_the_caller_rolls_back(opened: None) -> None:
    with transaction.atomic():
        claim(1).append()
        transaction.set_rollback(True)
    assert not Entry.objects.exists()
    assert not Payload.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_append_outside_a_transaction_is_a_fault_of_the_caller() -> None:
    one = claim(1)
    with pytest.raises(RuntimeError, match="transaction"):
        ledger.append(one.envelope, one.key, one.statement)


def test_mallory_may_not_log_in_the_name_of_alice(opened: None) -> None:
    forged = replace(claim(1, by="mallory"), key=claim(1).key)
    with pytest.raises(InvalidEnvelopeError, match="signature"):
        forged.append()
    assert not Entry.objects.exists()


def test_mallory_may_not_show_another_statement_than_the_signed_one(opened: None) -> None:
    with pytest.raises(InvalidEnvelopeError, match="another statement"):
        replace(claim(1), statement=claim(2).statement).append()


def test_what_is_no_statement_is_refused(opened: None) -> None:
    one = claim(1)
    alice = private_key("alice")
    with pytest.raises(InvalidEnvelopeError, match="refused"):
        replace(one, envelope=sign(b"not a statement", alice)).append()
    with pytest.raises(InvalidEnvelopeError, match="at most"):
        replace(one, envelope=sign(b" " * (LIMITS.statement + 1), alice)).append()


def test_a_kind_that_the_log_does_not_know_is_refused(opened: None) -> None:
    subject = Subject(name="x", sha256="0" * 64)
    strange = Statement(subjects=(subject,), predicate_type="urn:other:v1", predicate={})
    with pytest.raises(InvalidEnvelopeError, match="urn:other:v1"):
        signed(strange).append()


def test_a_foreign_subject_without_sha256_is_logged_but_not_indexed(opened: None) -> None:
    payload = (
        b'{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"blake3":"00"}}],'
        b'"predicateType":"' + OMS.encode() + b'","predicate":{}}'
    )
    one = replace(
        claim(1),
        envelope=sign(payload, private_key("alice")),
        statement=parse_statement(payload),
    )
    entry = Entry.objects.get(pk=one.append())
    assert (entry.kind, entry.subjects.count()) == ("oms", 0)


def test_the_same_claim_twice_finds_the_first(opened: None) -> None:
    first = claim(1).append()
    with pytest.raises(DuplicateClaimError) as caught:
        claim(1).append()
    assert caught.value.entry_id == first
    sequence()
    with pytest.raises(DuplicateClaimError):
        claim(1).append()


def test_the_malleable_twin_of_a_signature_is_the_same_claim(opened: None) -> None:
    first = claim(1)
    assert first.twin().envelope.signature != first.envelope.signature
    entry = first.append()
    with pytest.raises(DuplicateClaimError) as caught:
        first.twin().append()
    assert caught.value.entry_id == entry


def test_two_keys_over_one_payload_are_two_claims(opened: None) -> None:
    assert claim(1).append() != claim(1, by="bob").append()
    assert Payload.objects.count() == 1
    assert Entry.objects.count() == 2


def test_a_refused_duplicate_leaves_the_callers_transaction_usable(opened: None) -> None:
    claim(1).append()
    with transaction.atomic():
        with pytest.raises(DuplicateClaimError):
            claim(1).append()
        claim(2).append()
    assert Entry.objects.count() == 2


def test_another_conflict_than_a_duplicate_is_not_called_one(opened: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE ledger_entry ADD CONSTRAINT no_bob CHECK (model <> 'bob/x')")
    with pytest.raises(DatabaseError, match="no_bob"):
        claim(1).append(model="bob/x")


def test_a_frozen_log_takes_nothing(opened: None) -> None:
    Log.objects.update(frozen_at=timezone.now())
    with pytest.raises(LogFrozenError):
        claim(1).append()


def test_a_frozen_log_names_the_one_that_goes_on(opened: None) -> None:
    Log.objects.update(frozen_at=timezone.now(), successor="next.example.org")
    with pytest.raises(LogFrozenError, match=r"frozen .* The log next\.example\.org goes on"):
        claim(1).append()


def test_a_freeze_between_the_look_and_the_write_is_met_by_the_database(
    opened: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read a moment ago is stale: the trigger has the last word, and the same words."""

    def meanwhile(origin: str, limit: int) -> int | None:
        found = calm_log(origin, limit)
        Log.objects.update(frozen_at=timezone.now(), successor="next.example.org")
        return found

    monkeypatch.setattr(sys.modules["ledger.services.append"], "calm_log", meanwhile)
    with transaction.atomic():
        with pytest.raises(LogFrozenError, match=r"next\.example\.org goes on"):
            claim(1).append()
        assert not Entry.objects.exists()


# ---------------------------------------------------------------- what an entry is found by


def test_the_model_is_the_callers_or_the_one_that_the_statement_names(opened: None) -> None:
    alias = AliasPredicate(
        observed=OBSERVED, model="alice/digits", alias="main", revision="1" * 40, previous=None
    )
    subject = Subject(name="manifest", sha256="0" * 64)
    one, other = (signed(alias.statement([subject]), by=name) for name in ("alice", "bob"))
    rows = [
        Entry.objects.get(pk=pk)
        for pk in (one.append(), other.append(model="bob/copy"), claim(1).append())
    ]
    assert [(row.model, row.owner) for row in rows] == [
        ("alice/digits", "alice"),
        ("bob/copy", "bob"),
        ("", ""),
    ]


def test_a_key_statement_is_the_owners_that_it_names(opened: None) -> None:
    key = private_key("carol").public_key()
    predicate = KeyPredicate(
        observed=OBSERVED,
        action="register",
        owner="carol",
        role="publisher",
        public_key=public_key_of(key).pem,
        previous=None,
    )
    statement = predicate.statement([Subject(name="carol", sha256=public_key_of(key).fingerprint)])
    entry = Entry.objects.get(pk=signed(statement, by="carol").append())
    assert (entry.model, entry.owner) == ("", "carol")


@pytest.mark.parametrize(
    ("model", "shown"),
    [(["alice/digits"], ("", "")), ("a\0b/" + "c" * 300, ("a\ufffdb/" + "c" * 196, "a\ufffdb"))],
)
def test_a_model_that_no_row_can_keep_is_cut_or_left_out(
    opened: None, model: object, shown: tuple[str, str]
) -> None:
    statement = replace(claim(1).statement, predicate={"model": model})
    entry = Entry.objects.get(pk=signed(statement).append())
    assert (entry.model, entry.owner) == shown


# ---------------------------------------------------------------- many at once


def many(numbers: Iterable[int], *, by: str = "alice") -> list[ledger.NewClaim]:
    return [claim(number, by=by).new() for number in numbers]


def take(claims: list[ledger.NewClaim]) -> list[int]:
    with transaction.atomic():
        return ledger.append_many(claims)


def test_many_claims_are_the_rows_that_they_would_be_one_by_one(opened: None) -> None:
    with CaptureQueriesContext(connection) as captured:
        ids = take(many(range(50)))
    assert len(captured) < 12
    others = append_all(range(50, 60))
    assert ids == sorted(ids)
    sequence()
    assert [ledger.entry_status(entry).index for entry in (*ids, *others)] == list(range(60))
    assert whole() == 60
    assert take([]) == []


def test_of_many_claims_all_are_taken_or_none(opened: None) -> None:
    forged = replace(claim(2, by="mallory").new(), key=claim(1).key)
    with pytest.raises(InvalidEnvelopeError, match="signature"):
        take([*many(range(2)), forged])
    first = claim(3).append()
    with transaction.atomic():
        with pytest.raises(DuplicateClaimError) as caught:
            ledger.append_many(many(range(5)))
        assert caught.value.entry_id == first
        ledger.append_many(many(range(2)))
    assert Entry.objects.count() == 3


def test_what_the_caller_has_just_checked_is_not_checked_twice_but_a_lie_about_it_is_found(
    opened: None,
) -> None:
    take([replace(one, checked=True) for one in many(range(3))])
    sequence()
    assert whole() == 3
    forged = replace(claim(4, by="mallory").new(), key=claim(1).key, checked=True)
    take([forged])
    sequence()
    with pytest.raises(LogDamagedError, match=r"[Ee]ntry 3"):
        whole()


def test_a_claim_that_stands_twice_in_a_list_is_a_fault_of_the_caller(opened: None) -> None:
    with pytest.raises(InvalidEnvelopeError, match="Claims 1 and 3 of the list"):
        take(many([1, 2, 3, 2]))
    assert len(take([*many([1]), *many([1], by="bob")])) == 2
    assert Payload.objects.count() == 1


def test_a_log_that_cannot_keep_up_says_so(opened: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["ledger.services.append"], "MAX_PENDING", 2)
    append_all(range(2))
    with pytest.raises(LogBusyError):
        claim(2).append()
    sequence()
    claim(2).append()


@pytest.mark.django_db
def test_before_the_log_is_open_nothing_is_taken() -> None:
    with pytest.raises(LogBusyError, match="not open"):
        claim(1).append()


def test_a_subject_whose_name_no_row_can_keep_is_found_by_its_digest(opened: None) -> None:
    """JSON carries a NUL and PostgreSQL does not: once that was a fault of ours."""
    about = replace(
        claim(1).statement, subjects=(Subject(name="a\0b" + "c" * 2000, sha256=sha256_hex(b"x")),)
    )
    entry = Entry.objects.get(pk=signed(about).append())
    (subject,) = entry.subjects.all()
    assert (subject.name[:3], len(subject.name)) == ("a\N{REPLACEMENT CHARACTER}b", 1024)
    sequence()
    assert whole() == 1
