"""Two who change one model at once: the document that stays says what both did."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from django.db import connection, transaction

from registry.models import DownloadMark, Owner
from registry.services import releases
from registry.services.counters import add_up_downloads, downloaded
from tests.people import Person
from tests.registry.searching import names, publish

PATIENCE_S = 20.0


def in_transaction(work: Callable[[], Any], done: Event, go_on: Event) -> None:
    """Do `work`, say so, and commit when told to."""
    try:
        with transaction.atomic():
            work()
            done.set()
            assert go_on.wait(PATIENCE_S)
    finally:
        connection.close()


def closing(work: Callable[[], Any]) -> None:
    try:
        work()
    finally:
        connection.close()


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("opened")
def test_two_changes_at_once_are_both_in_the_document(alice: Person) -> None:
    model = publish(alice, "double", "words of a card")
    done, go_on, stop = Event(), Event(), Event()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(
            in_transaction,
            lambda: releases.yank(alice.user, model, "1.0.0", reason="wrong"),
            done,
            go_on,
        )
        assert done.wait(PATIENCE_S)
        rename = Owner.objects.filter(pk=alice.owner.pk)
        second = pool.submit(closing, lambda: rename.update(name="alicia"))
        while not somebody_waits():
            assert not second.done()
            assert not stop.wait(0.01)
        go_on.set()
        first.result(PATIENCE_S)
        second.result(PATIENCE_S)
    assert names("alicia double") == ["double"]
    assert names("alicia", released=True) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("opened")
def test_a_download_waits_for_no_other_of_the_same_release(alice: Person) -> None:
    revision = publish(alice, "double").releases.get().revision_id
    downloaded(revision, "192.0.2.1")
    done, go_on = Event(), Event()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(in_transaction, lambda: downloaded(revision, "192.0.2.2"), done, go_on)
        assert done.wait(PATIENCE_S)
        downloaded(revision, "192.0.2.3")  # while the other is not committed
        assert add_up_downloads() == 2
        assert not first.done()
        go_on.set()
        first.result(PATIENCE_S)
    assert add_up_downloads() == 1
    assert DownloadMark.objects.filter(counted=True).count() == 3
