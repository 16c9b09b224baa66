"""Collection takes away what nothing names, and never what somebody stores or names meanwhile."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, connections
from django.utils import timezone
from pytest_django import Settings

from registry.errors import ConflictError, RegistryError, UnknownFileError
from registry.models import (
    Blob,
    Charge,
    Holding,
    Model,
    Revision,
    RevisionFile,
    XetSpace,
    Xorb,
    XorbRange,
)
from registry.services import collection, contents, quotas, revisions, uploads
from registry.storage import StoredBlob, blobs
from tests import builders
from tests.people import Person
from tests.registry import calls

ROOT = Path(__file__).parent.parent.parent
DATA = b"# nobody names this\n" * 50
SHA256 = hashlib.sha256(DATA).hexdigest()
LONG_AGO = timedelta(days=30)
STEPS = ("look", "forget", "forgotten", "aside", "drop")


def grow_old() -> None:
    """Let everything that is there be a month old."""
    then = timezone.now() - LONG_AGO
    Blob.objects.update(created_at=then)
    Holding.objects.update(touched_at=then)
    Charge.objects.update(touched_at=then)
    for found in list(blobs().walk()):
        builders.set_mtime(file_of(found.sha256), then.timestamp())


def file_of(sha256: str) -> Path:
    with blobs().open(sha256) as stream:
        return Path(stream.name)


def check() -> None:
    """What a row names is there, whole; what somebody named is a row."""
    for blob in Blob.objects.all():
        with blobs().open(blob.pk) as stream:
            assert hashlib.sha256(stream.read()).hexdigest() == blob.pk
    assert not RevisionFile.objects.exclude(blob_id__in=Blob.objects.values("pk")).exists()


# ------------------------------------------------------------------ what goes, what stays


def test_what_nobody_named_goes_after_the_grace(alice: Person) -> None:
    contents.store(alice.user, DATA)
    assert collection.collect().blobs == 0
    grow_old()
    done = collection.collect()
    assert (done.blobs, done.bytes) == (1, len(DATA))
    assert not blobs().exists(SHA256)
    assert not Blob.objects.exists()
    assert quotas.usage_of(alice.owner).stored == 0


def test_a_dry_run_counts_and_takes_nothing(alice: Person) -> None:
    contents.store(alice.user, DATA)
    blobs().put(b"without a row")
    grow_old()
    done = collection.collect(dry_run=True)
    assert (done.blobs, done.strays, done.charges) == (1, 1, 1)
    assert blobs().exists(SHA256)
    assert Blob.objects.filter(pk=SHA256).exists()


def test_what_a_revision_names_stays_for_ever(alice: Person) -> None:
    builders.make_revision(alice)
    grow_old()
    done = collection.collect()
    assert (done.blobs, done.charges, done.strays) == (0, 0, 0)
    check()


def test_what_a_deleted_models_revision_names_stays(alice: Person) -> None:
    builders.make_revision(alice)
    Model.objects.update(deleted_at=timezone.now())
    grow_old()
    assert collection.collect().blobs == 0
    check()


def test_who_was_told_that_it_is_stored_has_the_grace_to_name_it(alice: Person) -> None:
    contents.store(alice.user, DATA)
    grow_old()
    assert calls.declare(alice.api(), DATA).json()["state"] == "stored"
    assert collection.collect().blobs == 0
    check()


def test_what_alice_brought_for_a_model_of_others_is_charged_to_them_alone(
    alice: Person, bob: Person
) -> None:
    contents.store(alice.user, builders.ONNX)
    builders.make_revision(bob, files={"model.onnx": builders.ONNX})
    grow_old()
    assert collection.collect().charges == 1
    assert quotas.usage_of(alice.owner).stored == 0
    assert quotas.usage_of(bob.owner).stored == len(builders.ONNX)


@pytest.mark.django_db
def test_bytes_that_a_crash_left_without_a_row_go_after_the_grace() -> None:
    blobs().put(DATA)
    assert collection.collect().strays == 0
    grow_old()
    assert collection.collect().strays == 1
    assert not blobs().exists(SHA256)


def test_every_table_that_names_a_content_counts() -> None:
    """A table that comes later is no weaker than a revision, unless it is listed here."""
    named = {relation.related_model for relation in collection._relations()}
    assert named == {Holding, Charge, XorbRange, RevisionFile}


def test_a_piece_of_xet_is_forgotten_with_its_content(alice: Person) -> None:
    blob = contents.store(alice.user, DATA)
    space = XetSpace.objects.create(model=builders.make_model(alice))
    fields: dict[str, Any] = {"space": space, "lengths": b"\0" * 4, "size": 1, "user_id": 1}
    found = Xorb.objects.create(hash="a" * 64, spool="", **fields)
    waiting = Xorb.objects.create(hash="b" * 64, spool="here", **fields)
    for piece in (found, waiting):
        XorbRange.objects.create(xorb=piece, first=0, end=1, blob=blob, offset=0)
    grow_old()
    assert collection.collect().blobs == 1
    assert list(Xorb.objects.all()) == [waiting]
    space.refresh_from_db()
    assert space.epoch == 2


def test_the_command_says_what_went(alice: Person) -> None:
    contents.store(alice.user, DATA)
    said = io.StringIO()
    call_command("collect_blobs", "--dry-run", "--grace-hours", "0", stdout=said)
    call_command("collect_blobs", "--grace-hours", "0", stdout=said)
    assert said.getvalue().splitlines() == [
        "1 contents (1000 bytes) would go, 0 files without a row, 1 charges; 0 put back",
        "1 contents (1000 bytes) went, 0 files without a row, 1 charges; 0 put back",
    ]
    with pytest.raises(CommandError):
        call_command("collect_blobs", "--grace-hours", "-1")


# ------------------------------------------------------------------ interleaved


def _store(person: Person) -> None:
    contents.store(person.user, DATA)


def _record(person: Person) -> None:
    """What a rebuilt Xet file does: the bytes were put before, the row comes now."""
    sha1 = hashlib.sha1(b"blob %d\0" % len(DATA) + DATA, usedforsecurity=False).hexdigest()
    contents.record(person.user, StoredBlob(sha256=SHA256, size=len(DATA), git_sha1=sha1))


def _commit(person: Person) -> None:
    model = Model.objects.get()
    revisions.commit(person.user, model, files=[("notes.md", SHA256)], parent=None)


def _upload(person: Person) -> None:
    declared = uploads.declare(person.user, size=len(DATA), sha256=SHA256)
    if declared.upload is not None:
        uploads.put_part(declared.upload, 0, [DATA], SHA256)
        uploads.complete(declared.upload)
    _commit(person)


ACTIONS: dict[str, Callable[[Person], object]] = {
    "store": _store,
    "record": _record,
    "commit": _commit,
    "upload": _upload,
}


class Meanwhile:
    """Somebody who acts in a thread, from a step of the collector on."""

    def __init__(self, action: Callable[[Person], object], person: Person) -> None:
        self.error: RegistryError | None = None
        self.pid = 0
        self.ended = threading.Event()
        self._ready = threading.Event()
        self._work = action, person
        self._thread = threading.Thread(target=self._run)

    def begin(self) -> None:
        """Start, and wait until the action has ended or waits for a lock."""
        self._thread.start()
        assert self._ready.wait(30)
        while not self.ended.wait(0.01) and not self._waits():
            pass

    def end(self) -> None:
        self._thread.join(30)
        assert self.ended.is_set()

    def _run(self) -> None:
        action, person = self._work
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                (self.pid,) = cursor.fetchone()
            self._ready.set()
            action(person)
        except RegistryError as error:
            self.error = error
        finally:
            self._ready.set()
            connections.close_all()
            self.ended.set()

    def _waits(self) -> bool:
        # With a connection of its own: the collector's may be inside a transaction.
        other = connections.create_connection("default")
        try:
            with other.cursor() as cursor:
                cursor.execute(
                    "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s",
                    [self.pid],
                )
                row = cursor.fetchone()
            return bool(row and row[0])
        finally:
            other.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("step", STEPS)
def test_whoever_comes_between_two_steps_has_the_content_or_is_told(
    alice: Person, monkeypatch: pytest.MonkeyPatch, step: str, action: str
) -> None:
    builders.make_model(alice)
    contents.store(alice.user, DATA)
    grow_old()
    other = Meanwhile(ACTIONS[action], alice)

    def reached(now: str) -> None:
        if now == step and not other.pid:
            other.begin()

    monkeypatch.setattr(collection, "reached", reached)
    collection.collect()
    other.end()
    check()
    if other.error is None:
        assert Blob.objects.filter(pk=SHA256).exists()
        assert blobs().exists(SHA256)
        named = RevisionFile.objects.filter(blob_id=SHA256).exists()
        assert named == (action in ("commit", "upload"))
    else:
        assert isinstance(other.error, ConflictError | UnknownFileError)
        assert not Revision.objects.exists()
        assert action in ("commit", "record") or step in ("look", "forget")
    monkeypatch.undo()
    _store(alice)
    check()


@pytest.mark.django_db(transaction=True)
def test_a_commit_that_is_under_way_is_waited_for(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collector comes while the commit's transaction is open, and sees what it wrote."""
    builders.make_model(alice)
    contents.store(alice.user, DATA)
    grow_old()
    done: list[int] = []
    honest = quotas.charge
    collector = Meanwhile(lambda _: done.append(collection.collect().blobs), alice)

    def charge(*arguments: Any, **named: Any) -> None:
        collector.begin()
        honest(*arguments, **named)

    monkeypatch.setattr(quotas, "charge", charge)
    _commit(alice)
    collector.end()
    assert done == [0]
    assert RevisionFile.objects.get().blob_id == SHA256
    check()


@pytest.mark.django_db(transaction=True)
def test_two_collectors_at_once_do_no_harm(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    contents.store(alice.user, DATA)
    grow_old()
    other = Meanwhile(lambda _: call_command("collect_blobs", stdout=io.StringIO()), alice)

    def reached(now: str) -> None:
        if now == "forgotten" and not other.pid:
            other.begin()

    monkeypatch.setattr(collection, "reached", reached)
    collection.collect()
    other.end()
    assert not blobs().exists(SHA256)
    check()


@pytest.mark.django_db(transaction=True)
def test_bytes_come_back_when_the_lock_is_lost_with_the_connection(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever stores it again meanwhile found it there, and wrote a row."""
    contents.store(alice.user, DATA)
    grow_old()

    def reached(now: str) -> None:
        if now == "aside":
            connection.close()
            raise OperationalError("the connection was cut")

    monkeypatch.setattr(collection, "reached", reached)
    with pytest.raises(OperationalError):
        collection.collect()
    assert blobs().exists(SHA256)
    assert list(blobs().walk_aside()) == []


# ------------------------------------------------------------------ killed

KILLED = """
import os, signal
import django
django.setup()
from datetime import timedelta
from registry.services import collection
collection.reached = lambda step: step == {step!r} and os.kill(os.getpid(), signal.SIGKILL)
collection.collect(grace=timedelta(0))
"""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("step", STEPS)
def test_a_collector_that_is_killed_loses_nothing_that_is_named(
    alice: Person, settings: Settings, step: str
) -> None:
    contents.store(alice.user, DATA)
    builders.make_revision(alice)
    place = settings.DATABASES["default"]
    url = f"{settings.POSTGRES.url.rpartition('/')[0]}/{connection.settings_dict['NAME']}"
    assert place["ENGINE"].endswith("postgresql")
    environment = os.environ | {
        "DATA": str(settings.BLOBS_DIR.parent),
        "DATABASE_URL": url,
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", KILLED.format(step=step)],
        cwd=ROOT,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    check()
    contents.store(alice.user, DATA)  # the same content may come again at once
    check()
    grow_old()
    Holding.objects.filter(blob_id=SHA256).delete()
    Charge.objects.filter(blob_id=SHA256).delete()
    collection.collect()
    assert list(blobs().walk_aside()) == []
    assert not blobs().exists(SHA256)
    check()


@pytest.mark.django_db
def test_what_was_left_aside_is_put_back_where_a_row_names_it(alice: Person) -> None:
    contents.store(alice.user, DATA)
    blobs().set_aside(SHA256)
    blobs().put(b"other")
    blobs().set_aside(hashlib.sha256(b"other").hexdigest())
    blobs().set_aside("0" * 64)
    aside = Path(file_of(blobs().put(b"there").sha256)).parents[2] / "aside"
    (aside / "lost+found").write_bytes(b"not ours")
    assert collection.collect().put_back == 1
    assert list(blobs().walk_aside()) == []
    assert [path.name for path in aside.iterdir()] == ["lost+found"]
    check()
