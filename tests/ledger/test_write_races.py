"""Two writers at once, and a writer beside the sequencer: one claim, one entry, one answer each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from assay.dsse import sign
from assay.rekor import parse_create_entry
from assay.statements import parse_statement
from ledger import services as ledger
from ledger.models import Entry, StagedPayload
from ledger.services.append import append
from ledger.services.staging import find_payload
from ledger.services.write import submit
from tests.ledger.builders import private_key, sequence, whole
from tests.ledger.writing import ask, hand_in, public_key, register, release, request_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def staged() -> bytes:
    ledger.ensure_log()
    register("alice")
    payload = release()
    assert hand_in(Client(), payload).status_code == 201
    return payload


@contextmanager
def beside(act: Callable[[], Any]) -> Iterator[Future[Any]]:
    """Run `act` in a thread with a database connection of its own."""

    def run() -> Any:
        try:
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=1) as pool:
        yield pool.submit(run)


def until_somebody_waits_for_a_lock() -> None:
    with connection.cursor() as cursor:
        for _ in range(2000):
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone() != (0,):
                return
            threading.Event().wait(0.01)
    raise AssertionError("nobody ever waited")


def test_one_request_twice_at_once_makes_one_entry(staged: bytes) -> None:
    key = public_key("alice")
    envelope = sign(staged, private_key("alice"))
    inserted = threading.Event()

    def first() -> int:
        with transaction.atomic():
            entry_id = append(envelope, key, parse_statement(staged))
            inserted.set()
            until_somebody_waits_for_a_lock()
        return entry_id

    with beside(first) as faster:
        assert inserted.wait(20)
        slower = submit(parse_create_entry(request_for(envelope, key)), timezone.now())
        assert (slower.entry_id, slower.new) == (faster.result(20), False)
    assert Entry.objects.filter(payload=envelope.pae_sha256).count() == 1


def test_a_payload_is_found_while_it_moves_from_waiting_to_logged(staged: bytes) -> None:
    digest = sign(staged, private_key("alice")).pae_sha256
    with transaction.atomic():
        append(sign(staged, private_key("alice")), public_key("alice"), parse_statement(staged))
        StagedPayload.objects.all().delete()
        with beside(lambda: find_payload(digest)) as other:
            assert other.result(20) == staged  # what waits, as the others still see it
        assert find_payload(digest) == staged
    assert find_payload(digest) == staged


def test_many_clients_at_once_each_get_their_answer(staged: bytes) -> None:
    payloads = [staged, *(release(number) for number in range(2, 7))]
    for payload in payloads[1:]:
        hand_in(Client(), payload)
    done = threading.Event()

    def lead() -> None:
        while not done.is_set():
            sequence()
            done.wait(0.02)

    def ask_for(payload: bytes) -> Any:
        try:
            return ask(Client(), payload)
        finally:
            connection.close()

    with beside(lead), ThreadPoolExecutor(max_workers=6) as pool:
        try:
            answers = list(pool.map(ask_for, payloads))
        finally:
            done.set()
    assert [answer.status_code for answer in answers] == [201] * 6
    indices = sorted(int(answer.json()["logIndex"]) for answer in answers)
    assert (indices, whole()) == (list(range(1, 7)), 7)
