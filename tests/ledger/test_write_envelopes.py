"""`POST /log/envelopes`: payload first, from a key or from a person, and never from nobody."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from assay.digests import sha256_hex
from assay.dsse import pae, sign
from assay.limits import LIMITS
from assay.statements import Observed, Statement, Subject, render
from ledger import tasks
from ledger.models import Allowance, Entry, Payload, StagedPayload
from ledger.services import staging
from tests.ledger.builders import claim, private_key, sequence, signed
from tests.ledger.writing import (
    ENVELOPES,
    JSON,
    Clock,
    ask,
    hand_in,
    key_statement,
    model_signature,
    public_key,
    register,
    release,
    unsigned,
    use,
)
from tests.people import Person

ALICE = public_key("alice").fingerprint


@pytest.fixture
def registered(opened: None) -> str:
    return register("alice")


def words(answer: Any, status: int, code: str) -> str:
    """Check that `answer` refuses with that status and code; return what it says to people."""
    assert answer.status_code == status, answer.content
    error = answer.json()["error"]
    assert error["code"] == code
    return str(error["message"])


def brought(answer: Any, payload: bytes, status: int = 201) -> None:
    """Check that `answer` says where the envelope will be."""
    digest = sha256_hex(pae(payload))
    assert (answer.status_code, answer["Content-Type"]) == (status, JSON), answer.content
    assert answer.json() == {
        "pae_sha256": digest,
        "envelope": f"http://localhost:8000/log/envelopes/{digest}",
    }


def by_person(person: Person, body: bytes, scope: str = "write") -> Any:
    return person.api(scope).post(ENVELOPES, body, content_type=JSON)


# ------------------------------------------------------------------ who may


def test_alice_hands_in_what_her_key_signed_without_signing_in(registered: str) -> None:
    payload = release()
    client = Client(enforce_csrf_checks=True)
    brought(hand_in(client, payload), payload)
    row = StagedPayload.objects.get()
    assert (bytes(row.payload), row.staged_by) == (payload, f"key:{ALICE}")


def test_alice_hands_in_an_unsigned_statement_with_her_token(opened: None, alice: Person) -> None:
    payload = release()
    brought(by_person(alice, unsigned(payload)), payload)
    row = StagedPayload.objects.get()
    assert (bytes(row.payload), row.staged_by) == (payload, f"user:{alice.user.pk}")


def test_the_envelope_is_not_served_before_a_leaf_names_it(client: Client, registered: str) -> None:
    answer = hand_in(client, release())
    digest = answer.json()["pae_sha256"]
    assert client.get(f"/log/envelopes/{digest}").status_code == 404


def test_nobody_in_particular_may_not_hand_anything_in(client: Client, opened: None) -> None:
    answer = client.post(ENVELOPES, unsigned(release()), content_type=JSON)
    words(answer, 401, "not_authenticated")
    assert "Bearer" in answer["WWW-Authenticate"]


def test_a_session_is_no_token(client: Client, opened: None, alice: Person) -> None:
    """These addresses know no cookies, so no page of somebody else can use one."""
    client.force_login(alice.user)
    answer = client.post(ENVELOPES, unsigned(release()), content_type=JSON)
    words(answer, 401, "not_authenticated")


def test_a_token_that_may_only_read_hands_nothing_in(opened: None, alice: Person) -> None:
    words(by_person(alice, unsigned(release()), "read"), 403, "not_allowed")
    assert not StagedPayload.objects.exists()


@pytest.mark.parametrize("key", ["0" * 64, "alice", ""])
def test_a_key_that_is_not_registered_hands_nothing_in(
    client: Client, opened: None, key: str
) -> None:
    answer = client.post(f"{ENVELOPES}?key={key}", b"{}", content_type=JSON)
    assert "Register it" in words(answer, 403, "key_not_registered")


def test_mallory_may_not_hand_in_under_the_key_of_alice(client: Client, registered: str) -> None:
    answer = hand_in(client, release(), by="mallory", key=ALICE)
    assert "not one of key" in words(answer, 400, "invalid_envelope")
    assert not Allowance.objects.exists()  # and takes nothing from her


def test_a_signature_without_a_name_is_asked_whose_it_is(opened: None, alice: Person) -> None:
    body = sign(release(), private_key("alice")).to_json()
    assert "?key=" in words(by_person(alice, body), 400, "invalid_envelope")


def test_alice_may_not_hand_in_what_her_key_may_not_log(client: Client, registered: str) -> None:
    said = words(hand_in(client, release(model="bob/digits")), 403, "key_may_not")
    assert "about bob/digits" in said
    said = words(hand_in(client, claim(1).envelope.payload), 403, "key_may_not")
    assert "publisher" in said


def test_statements_about_keys_have_a_door_of_their_own(
    client: Client, registered: str, alice: Person
) -> None:
    payload = render(key_statement("alice", action="revoke"))
    assert "on the site" in words(hand_in(client, payload), 403, "key_may_not")
    assert "on the site" in words(by_person(alice, unsigned(payload)), 403, "key_may_not")


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_envelopes_are_only_handed_in_here(client: Client, opened: None, method: str) -> None:
    answer = getattr(client, method)(ENVELOPES)
    words(answer, 405, "method_not_allowed")
    assert "POST" in answer["Allow"]


# ------------------------------------------------------------------ what


def strange() -> bytes:
    subject = Subject(name="x", sha256=sha256_hex(b"x"))
    return render(Statement(subjects=(subject,), predicate_type="urn:other:v1", predicate={}))


BENT: dict[str, tuple[Any, str]] = {
    "no JSON": (lambda: b"{", "not strict JSON"),
    "a field more": (lambda: unsigned(release(), extra=1), "'extra' is unknown"),
    "no list": (lambda: unsigned(release(), signatures=None), "it is signed"),
    "another type": (lambda: unsigned(release(), payloadType="text/plain"), "payload type"),
    "no base64": (lambda: unsigned(release(), payload="?"), "payload: not base64"),
    "no statement": (lambda: unsigned(b"{}"), "'_type' is missing"),
    "another version": (
        lambda: unsigned(release().replace(b"Statement/v1", b"Statement/v0.1")),
        "another statement type",
    ),
    "a kind of others": (lambda: unsigned(strange()), "takes no urn:other:v1"),
    "another form": (
        lambda: unsigned(release().replace(b'"license":"mit",', b"")),
        "'license' is missing",
    ),
    "another folder": (
        lambda: unsigned(model_signature().replace(sha256_hex(b"model").encode(), b"0" * 64)),
        "not the digest over the listed files",
    ),
    "longer": (lambda: unsigned(b" " * (LIMITS.statement + 1)), "at most 1048576 bytes"),
}


@pytest.mark.parametrize("bent", BENT)
def test_what_is_no_statement_of_this_log_is_refused_at_the_door(
    opened: None, alice: Person, bent: str
) -> None:
    body, said = BENT[bent]
    assert said in words(by_person(alice, body()), 400, "invalid_envelope")
    assert not StagedPayload.objects.exists()


def test_an_unsigned_envelope_is_no_signed_one(client: Client, registered: str) -> None:
    answer = client.post(f"{ENVELOPES}?key={ALICE}", unsigned(release()), content_type=JSON)
    assert "0 signatures, not one" in words(answer, 400, "invalid_envelope")


def test_a_body_that_is_far_too_long_is_not_read(opened: None, alice: Person) -> None:
    words(by_person(alice, b" " * (3 * 2**20)), 413, "body_too_large")


def test_the_longest_statement_fits(opened: None, alice: Person) -> None:
    short = release(license="x")
    payload = short[:-1] + b" " * (LIMITS.statement - len(short)) + b"}"
    brought(by_person(alice, unsigned(payload)), payload)


@pytest.mark.parametrize(
    "seen",
    [
        Observed(origin="localhost", tree_size=7, root_hash=sha256_hex(b"a tree of mallory")),
        Observed(origin="localhost", tree_size=0, root_hash=sha256_hex(b"a tree of mallory")),
        Observed(origin="elsewhere.example.org", tree_size=0, root_hash=sha256_hex(b"")),
    ],
)
def test_a_tree_that_nobody_saw_dates_no_statement(
    client: Client, registered: str, seen: Observed
) -> None:
    """T8, T9: the observed tree is what says how old a statement is at most."""
    answer = hand_in(client, release(observed=seen))
    assert "published no such checkpoint" in words(answer, 400, "invalid_envelope")


def test_a_model_signature_says_nothing_of_trees(client: Client, registered: str) -> None:
    payload = model_signature()
    brought(hand_in(client, payload), payload)


# ------------------------------------------------------------------ once, and how much


def test_what_is_there_is_said_to_be_there_and_starts_another_day(
    client: Client, registered: str, alice: Person
) -> None:
    payload = release()
    brought(hand_in(client, payload), payload)
    StagedPayload.objects.update(created_at=timezone.now() - timedelta(hours=23))
    brought(by_person(alice, unsigned(payload)), payload, 200)
    row = StagedPayload.objects.get()
    assert row.staged_by == f"key:{ALICE}"
    assert timezone.now() - row.created_at < timedelta(hours=1)


def test_what_is_logged_needs_no_second_bringing(
    client: Client, registered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(Clock(each=sequence), monkeypatch)
    payload = release()
    hand_in(client, payload)
    assert ask(client, payload).status_code == 201
    brought(hand_in(client, payload), payload, 200)
    assert not StagedPayload.objects.exists()


def test_who_hands_in_too_fast_is_told_when_to_come_back(
    client: Client, registered: str, alice: Person, settings: Settings
) -> None:
    settings.LEDGER_KEY_RATE = 2
    payloads = [release(number) for number in range(4)]
    assert [hand_in(client, one).status_code for one in payloads] == [201, 201, 429, 429]
    answer = hand_in(client, payloads[2])
    words(answer, 429, "rate_limited")
    assert 1 <= int(answer["Retry-After"]) <= 30
    assert hand_in(client, payloads[0]).status_code == 200  # a repetition costs nothing
    assert by_person(alice, unsigned(payloads[2])).status_code == 201


def test_only_so_much_of_one_key_waits_to_be_logged(
    client: Client, registered: str, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T17: the rate bounds a minute, this bounds the day."""
    monkeypatch.setattr(staging, "MAX_STAGED", 2)
    payloads = [release(number) for number in range(3)]
    assert [hand_in(client, one).status_code for one in payloads] == [201, 201, 429]
    answer = hand_in(client, payloads[2])
    assert "2 statements wait to be logged" in words(answer, 429, "rate_limited")
    assert int(answer["Retry-After"]) > 0
    assert by_person(alice, unsigned(payloads[2])).status_code == 201


# ------------------------------------------------------------------ swept


def test_what_nobody_logged_within_a_day_is_swept(client: Client, registered: str) -> None:
    hand_in(client, release(1))
    hand_in(client, release(2))
    now = timezone.now()
    first, second = StagedPayload.objects.order_by("created_at")
    for row, age in ((first, timedelta(hours=25)), (second, timedelta(hours=23))):
        StagedPayload.objects.filter(pk=row.pk).update(created_at=now - age)
    assert tasks.sweep_staged() == 1
    assert StagedPayload.objects.get() == second
    assert ask(client, bytes(first.payload)).status_code == 400
    assert tasks.sweep_staged() == 0


def test_the_sweep_leaves_what_is_logged(registered: str) -> None:
    signed(claim(5).statement).append()
    before = (Entry.objects.count(), Payload.objects.count())
    assert tasks.sweep_staged() == 0
    assert (Entry.objects.count(), Payload.objects.count()) == before


def test_the_sweep_has_its_hour(settings: Settings) -> None:
    names = [job["task"] for job in settings.CELERY_BEAT_SCHEDULE.values()]
    assert tasks.sweep_staged.name in names
