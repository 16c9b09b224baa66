"""`POST /log/api/v2/log/entries`: every answer that a stock Rekor client can get."""

from __future__ import annotations

import io
import shutil
import sys
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import utils
from django.test import Client, RequestFactory
from django.utils import timezone
from pytest_django import Settings

from assay.bundle import MEDIA_TYPE, hint_for
from assay.canonical import canonical_json
from assay.dsse import P256_ORDER, Envelope, sign
from assay.limits import LIMITS
from assay.policy import parse_policy, parse_trusted_root
from assay.statements import OMS, RELEASE, parse_statement
from assay.verify import Verified, verify_bundle
from ledger import services as ledger
from ledger.models import Entry, Log, Payload, StagedPayload
from ledger.views import write
from tests.ledger.builders import private_key, sequence, signed, whole
from tests.ledger.witness import Witness
from tests.ledger.writing import (
    ENTRIES,
    JSON,
    Clock,
    ask,
    hand_in,
    key_statement,
    led,
    model_signature,
    post,
    public_key,
    register,
    release,
    request_for,
    spelled,
    use,
)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock under which the sequencer has its turn whenever somebody waits."""
    return use(Clock(each=sequence), monkeypatch)


@pytest.fixture
def alices(opened: None) -> bytes:
    """A release of alice, whose key is registered; the statement is handed in."""
    register("alice")
    payload = release()
    assert hand_in(Client(), payload).status_code == 201
    return payload


def words(answer: Any, status: int, code: int) -> str:
    """Check that `answer` refuses with that status and code; return what it says to people."""
    assert answer.status_code == status, answer.content
    assert (answer["Content-Type"], answer["Cache-Control"]) == (JSON, "no-store")
    value = answer.json()
    assert (value["code"], value["details"], len(value)) == (code, [], 3)
    assert answer.has_header("x-log-index") == (status == 409)
    return str(value["message"])


def taken(answer: Any, payload: bytes, kind: str, *, by: str = "alice") -> Verified:
    """Make of a 201 the bundle that a stock client makes, and verify that as a stranger."""
    assert (answer.status_code, answer["Content-Type"]) == (201, JSON), answer.content
    key = public_key(by)
    bundle = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {
            "publicKey": {"hint": hint_for(key.spki)},
            "tlogEntries": [answer.json()],
        },
        "dsseEnvelope": sign(payload, private_key(by)).to_dict(),
    }
    return verify_bundle(
        canonical_json(bundle),
        key=key,
        trusted_root=parse_trusted_root(ledger.trusted_root()),
        predicate_type=kind,
        policy=parse_policy(ledger.witness_policy()),
        without_file=True,
    )


# ------------------------------------------------------------------ 201


def test_alice_logs_a_release_and_the_answer_proves_it(
    wanda: Witness, clock: Clock, alices: bytes
) -> None:
    answer = ask(Client(enforce_csrf_checks=True), alices)
    assert taken(answer, alices, RELEASE).index == 1
    assert set(answer.json()) == {
        *("logIndex", "logId", "kindVersion", "inclusionProof", "canonicalizedBody")
    }
    assert (whole(), StagedPayload.objects.count()) == (2, 0)
    row = Entry.objects.get(index=1)
    assert (bytes(row.payload.payload), row.model, row.owner) == (alices, "alice/digits", "alice")


def test_the_envelope_is_served_as_soon_as_the_leaf_is_there(
    client: Client, clock: Clock, alices: bytes
) -> None:
    one = sign(alices, private_key("alice"))
    address = f"/log/envelopes/{one.pae_sha256.hex()}"
    assert client.get(address).status_code == 404
    assert ask(client, alices).status_code == 201
    assert client.get(address).content == one.to_json()


def test_two_keys_sign_one_statement_that_was_handed_in_once(
    client: Client, opened: None, clock: Clock
) -> None:
    register("alice")
    register("bob")
    payload = model_signature()
    hand_in(client, payload)
    taken(ask(client, payload), payload, OMS)
    taken(ask(client, payload, by="bob"), payload, OMS, by="bob")
    assert (Payload.objects.filter(payload=payload).count(), Entry.objects.count()) == (1, 4)


# ------------------------------------------------------------------ 400


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "JSON"),
        (b"{}", "'hashedRekordRequestV002' is missing"),
        (b" " * (LIMITS.rekor_request + 1), "longer than 65536 bytes"),
        (b" " * (3 * 2**20), "longer than 65536 bytes"),
    ],
    ids=["empty", "no request", "longer", "longer than Django takes"],
)
def test_what_is_no_request_is_refused_in_words(
    client: Client, opened: None, body: bytes, said: str
) -> None:
    assert said in words(post(client, body), 400, 3)


def test_a_body_that_breaks_off_is_refused(opened: None) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("the client has gone")

    extra: dict[str, Any] = {"wsgi.input": Broken(), "CONTENT_LENGTH": "10"}
    answer = write.entries(RequestFactory().post(ENTRIES, **extra))
    assert (answer.status_code, b"broke off" in answer.content) == (400, True)


def test_mallory_may_not_log_under_the_key_of_alice(client: Client, alices: bytes) -> None:
    forged = request_for(sign(alices, private_key("mallory")), public_key("alice"))
    assert "not one of key" in words(post(client, forged), 400, 3)


def test_no_leaf_without_content(client: Client, opened: None, clock: Clock) -> None:
    """T4, T17: a digest alone could be anything, and anything could be said of it later."""
    register("alice")
    said = words(ask(client, release()), 400, 3)
    assert "Hand the statement in first" in said
    assert Entry.objects.count() == 1


def test_a_statement_that_no_door_would_take_is_refused_here_too(
    client: Client, opened: None, clock: Clock
) -> None:
    """The payload may be that of an entry, which the door for envelopes never saw."""
    register("alice")
    loose = release().replace(b'"license":"mit",', b"")
    signed(parse_statement(loose), by="bob").append()
    assert "'license' is missing" in words(ask(client, loose), 400, 3)


# ------------------------------------------------------------------ 403


def test_mallorys_unregistered_key_is_refused(client: Client, alices: bytes, clock: Clock) -> None:
    said = words(ask(client, alices, by="mallory"), 403, 7)
    assert public_key("mallory").fingerprint in said
    assert "Register it" in said
    assert Entry.objects.count() == 1


def test_a_revoked_key_is_refused(client: Client, alices: bytes, clock: Clock) -> None:
    """T12: at once, before its revocation has an index."""
    signed(key_statement("alice", action="revoke")).append()
    assert "was revoked" in words(ask(client, alices), 403, 7)


def test_alices_key_may_not_release_for_bob(
    client: Client, alices: bytes, clock: Clock, bob_staged: bytes
) -> None:
    assert "about bob/digits" in words(ask(client, bob_staged), 403, 7)


@pytest.fixture
def bob_staged(alices: bytes) -> bytes:
    register("bob")
    payload = release(model="bob/digits")
    assert hand_in(Client(), payload, by="bob").status_code == 201
    return payload


def test_keys_are_registered_elsewhere(client: Client, opened: None, clock: Clock) -> None:
    register("alice")
    other = signed(key_statement("bob", owner="alice"))
    other.append()  # its payload is known, so only the kind is in the way
    register("mallory")
    assert "on the site" in words(ask(client, other.envelope.payload, by="mallory"), 403, 7)


# ------------------------------------------------------------------ 405


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_entries_are_only_handed_in_here(client: Client, opened: None, method: str) -> None:
    answer = getattr(client, method)(ENTRIES)
    assert (answer.status_code, answer["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("successor", "url", "said"),
    [
        ("", "", "takes no more entries.\n"),
        ("next.example.org", "", "The log next.example.org goes on in its place.\n"),
        ("next.example.org", "https://next.example.org/log", "(https://next.example.org/log)"),
    ],
    ids=["alone", "by name", "by address"],
)
def test_a_frozen_log_names_the_one_that_goes_on(
    client: Client, alices: bytes, clock: Clock, successor: str, url: str, said: str
) -> None:
    old = Log.objects.get()
    if url:
        Log.objects.create(origin=successor, vkey=old.vkey, root=old.root, url=url)
    Log.objects.filter(pk=old.pk).update(frozen_at=timezone.now(), successor=successor)
    answer = ask(client, alices)
    assert (answer.status_code, answer["Allow"]) == (405, "")
    assert said in answer.content.decode()
    assert Entry.objects.count() == 1


def test_a_client_of_a_frozen_log_is_not_sent_into_the_next_one(
    client: Client, alices: bytes, clock: Clock, settings: Settings
) -> None:
    """It would get a proof of a log that its trusted root does not know."""
    settings.ALLOWED_HOSTS = ["old.example.org", "testserver"]
    root = Log.objects.get().root
    Log.objects.create(
        origin="old.example.org", root=root, frozen_at=timezone.now(), successor="localhost"
    )
    body = request_for(sign(alices, private_key("alice")), public_key("alice"))
    headers = {"Host": "old.example.org:8000"}
    answer = client.post(ENTRIES, body, content_type=JSON, headers=headers)
    assert answer.status_code == 405
    assert "The log localhost (http://localhost:8000/log) goes on" in answer.content.decode()
    assert ask(client, alices).status_code == 201


def test_a_log_that_is_frozen_while_the_request_comes_in_says_the_same(
    alices: bytes, clock: Clock
) -> None:
    body = request_for(sign(alices, private_key("alice")), public_key("alice"))

    class Freezing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            Log.objects.update(frozen_at=timezone.now(), successor="next.example.org")
            return super().read(size)

    extra: dict[str, Any] = {"wsgi.input": Freezing(body), "CONTENT_LENGTH": str(len(body))}
    answer = write.entries(RequestFactory().post(ENTRIES, **extra))
    assert (answer.status_code, b"next.example.org goes on" in answer.content) == (405, True)
    assert Entry.objects.count() == 1


# ------------------------------------------------------------------ 409


def test_the_same_claim_again_is_told_its_index(
    client: Client, alices: bytes, clock: Clock
) -> None:
    assert ask(client, alices).status_code == 201
    clock.slept.clear()
    again = ask(client, alices)
    said = words(again, 409, 6)
    assert again["x-log-index"] == "1"
    assert "entry 1 of localhost" in said
    found = client.get(address_in(said))
    assert found.json()["bundle"]["dsseEnvelope"] == sign(alices, private_key("alice")).to_dict()
    assert (clock.slept, Entry.objects.count()) == ([], 2)


def test_an_answer_that_was_lost_loses_no_claim(
    client: Client, alices: bytes, clock: Clock
) -> None:
    """The client went away, or we did, between the commit and the answer."""
    clock.each = lambda: None
    assert "is stored and will be logged" in words(ask(client, alices), 503, 14)
    assert clock.now == pytest.approx(1020)
    assert (Entry.objects.filter(index=None).count(), StagedPayload.objects.count()) == (1, 0)
    clock.each = sequence
    again = ask(client, alices)
    words(again, 409, 6)
    assert (again["x-log-index"], Entry.objects.count()) == ("1", 2)


def test_a_repetition_whose_claim_still_waits_is_503(
    client: Client, alices: bytes, clock: Clock
) -> None:
    clock.each = lambda: None
    for _ in range(2):
        said = words(ask(client, alices), 503, 14)
    assert Entry.objects.count() == 2
    assert client.get(address_in(said)).json()["bundle"] is None


def test_the_malleable_twin_of_a_signature_is_no_second_claim(
    client: Client, alices: bytes, clock: Clock
) -> None:
    ask(client, alices)
    r, s = utils.decode_dss_signature(sign(alices, private_key("alice")).signature)
    twin = Envelope(payload=alices, signature=utils.encode_dss_signature(r, P256_ORDER - s))
    words(post(client, request_for(twin, public_key("alice"))), 409, 6)
    assert Entry.objects.count() == 2


def address_in(said: str) -> str:
    """Return the path of the address that a message names."""
    (address,) = [word for word in said.split() if "://" in word]
    return address[address.index("/api/") :]


# ------------------------------------------------------------------ 429


def test_a_key_that_asks_too_fast_is_told_when_to_come_back(
    client: Client, opened: None, clock: Clock, settings: Settings
) -> None:
    register("alice")
    register("bob")
    payloads = [release(number) for number in range(1, 4)]
    for payload in payloads:
        hand_in(client, payload)
    settings.LEDGER_KEY_RATE = 2
    assert [ask(client, payload).status_code for payload in payloads] == [201, 201, 429]
    answer = ask(client, payloads[2])
    assert "more than 2 in a minute" in words(answer, 429, 8)
    assert 1 <= int(answer["Retry-After"]) <= 30
    hand_in(client, model_signature(), by="bob")
    assert ask(client, model_signature(), by="bob").status_code == 201


def test_mallory_repeating_alices_requests_takes_nothing_from_her(
    client: Client, opened: None, clock: Clock, settings: Settings
) -> None:
    """Requests can be put together from the public log by anybody."""
    register("alice")
    first, second = release(1), release(2)
    hand_in(client, first)
    hand_in(client, second)
    settings.LEDGER_KEY_RATE = 2
    assert ask(client, first).status_code == 201
    for _ in range(10):
        words(ask(client, first), 409, 6)
    assert ask(client, second).status_code == 201


# ------------------------------------------------------------------ 500, 503


def test_before_the_log_is_open_nothing_is_taken(client: Client, db: None) -> None:
    assert "not open yet" in words(post(client, b"{}"), 503, 14)


def test_a_log_that_cannot_keep_up_takes_nothing(
    client: Client, alices: bytes, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["ledger.services.append"], "MAX_PENDING", 0)
    assert "Too many entries wait" in words(ask(client, alices), 503, 14)
    assert (Entry.objects.count(), StagedPayload.objects.count()) == (1, 1)


@pytest.mark.parametrize("state", ["held", "stopped"])
def test_a_log_that_pauses_answers_at_once(
    client: Client, alices: bytes, clock: Clock, state: str
) -> None:
    led(state)
    assert "takes nothing" in words(ask(client, alices), 503, 14)
    assert (clock.slept, Entry.objects.count()) == ([], 1)


def test_a_log_whose_sequencer_died_answers_at_once(
    client: Client, alices: bytes, clock: Clock
) -> None:
    led("leading", silent_s=3600)
    assert "is stored and will be logged" in words(ask(client, alices), 503, 14)
    assert clock.slept == []


def test_only_so_many_threads_wait_for_the_log(client: Client, alices: bytes, clock: Clock) -> None:
    """T17: a flood of waiting writers leaves threads for readers."""
    held = [write.slots.acquire(blocking=False) for _ in range(write.WAITERS)]
    assert all(held)
    assert "Nothing was stored" in words(ask(client, alices), 503, 14)
    assert Entry.objects.count() == 1
    write.slots.release(write.WAITERS)
    assert ask(client, alices).status_code == 201


def test_whatever_the_answer_nobody_keeps_a_place(
    client: Client, alices: bytes, clock: Clock
) -> None:
    asked = [b"{}", *(request_for(sign(alices, private_key(who)), public_key(who)) for who in WHO)]
    found = [post(client, body).status_code for body in asked * 4]
    assert found[:4] == [400, 201, 403, 409]
    for _ in range(write.WAITERS):
        assert write.slots.acquire(blocking=False)
    write.slots.release(write.WAITERS)


WHO = ("alice", "mallory", "alice")


def test_damage_is_not_handed_out(
    client: Client, alices: bytes, clock: Clock, settings: Settings
) -> None:
    def damage() -> None:
        sequence()
        shutil.rmtree(settings.LEDGER_DIR / "tile")

    clock.each = damage
    assert "cannot be proved" in words(ask(client, alices), 500, 13)


def test_the_request_of_the_protos_spelling_is_taken(
    client: Client, alices: bytes, clock: Clock
) -> None:
    envelope = sign(alices, private_key("alice"))
    verifier = {
        "public_key": {"raw_bytes": spelled(public_key("alice").spki)},
        "key_details": "PKIX_ECDSA_P256_SHA_256",
    }
    request = {
        "digest": spelled(envelope.pae_sha256),
        "signature": {"content": spelled(envelope.signature), "verifier": verifier},
    }
    answer = post(client, canonical_json({"hashed_rekord_request_v002": request}))
    taken(answer, alices, RELEASE)
