"""The log in a bucket: created once, never sent twice, and honest about a store that fails."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from assay.checkpoint import parse_checkpoint
from assay.errors import MissingError
from assay.note import VKey, open_note
from ledger import services as ledger, storage_s3
from ledger.errors import LogDamagedError, LogHeldError
from ledger.storage import CHECKPOINT, LogStorage, StoreError, is_temporary, log_storage
from ledger.storage_s3 import S3Storage, make_client
from tests.ledger.builders import append_all, claim, sequence, sequencer, verified, whole
from tests.ledger.s3 import (
    REGION,
    Bucket,
    Line,
    Request,
    give_credentials,
    keep_logs_in,
    line_to,
    new_bucket,
    object_store,
)
from tests.ledger.witness import Witness


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with object_store() as address:
        yield address


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    give_credentials(monkeypatch)
    return new_bucket(endpoint)


@pytest.fixture
def storage(bucket: Bucket) -> S3Storage:
    return bucket.storage()


@pytest.fixture(scope="module")
def one_line(endpoint: str) -> Iterator[Line]:
    with line_to(endpoint) as found:
        yield found


@pytest.fixture
def line(one_line: Line) -> Iterator[Line]:
    yield one_line
    one_line.clear()


@pytest.fixture
def far(line: Line, bucket: Bucket) -> S3Storage:
    """The storage at the far end of the line, by a client without patience.

    It has found out already that the store writes on condition.
    """
    found = bucket.far_storage(line.endpoint)
    found.sweep()
    line.seen.clear()
    return found


# ------------------------------------------------------------------ the contract


def test_a_file_is_created_once_and_the_same_bytes_may_come_again(
    storage: S3Storage, bucket: Bucket
) -> None:
    storage.put_new("tile/0/x001/067.p/3", b"bytes")
    storage.put_new("tile/0/x001/067.p/3", b"bytes")
    assert storage.get("tile/0/x001/067.p/3") == b"bytes"
    assert bucket.files() == {"tile/0/x001/067.p/3": b"bytes"}


def test_other_bytes_under_a_name_stop_everything(storage: S3Storage) -> None:
    storage.put_new("tile/0/000", b"bytes")
    with pytest.raises(LogDamagedError, match="tile/0/000 exists with other bytes"):
        storage.put_new("tile/0/000", b"other")
    assert storage.get("tile/0/000") == b"bytes"


def test_many_files_are_written_and_the_first_failure_is_told_when_all_ended(
    storage: S3Storage, bucket: Bucket
) -> None:
    bucket.write("logs/one/tile/0/003", b"foreign")
    bucket.write("logs/one/tile/0/007", b"foreign")
    files = [(f"tile/0/{number:03}", b"%d" % number) for number in range(20)]
    with pytest.raises(LogDamagedError, match="tile/0/003"):
        storage.put_all(files)
    assert len(bucket.files()) == 20
    assert [thread for thread in threading.enumerate() if "log-files" in thread.name] == []


def test_the_checkpoint_is_replaced(storage: S3Storage) -> None:
    storage.replace("checkpoint", b"one")
    storage.replace("checkpoint", b"two")
    assert storage.get("checkpoint") == b"two"


def test_what_is_not_there_is_missing_and_a_folder_is_nothing(storage: S3Storage) -> None:
    storage.put_new("tile/0/000", b"")
    for path in ("tile/0/001", "tile/0"):
        with pytest.raises(MissingError, match=path):
            storage.get(path)


def test_there_is_room_and_everything_is_listed(storage: S3Storage, bucket: Bucket) -> None:
    assert storage.room() > 2**60
    files = [(f"tile/entries/{n // 1000:03}.p/{n % 255 + 1}", b"") for n in range(1010)]
    for path, _ in files[::101]:
        bucket.write(f"logs/one/{path}", b"")
    bucket.write("logs/other/tile/0/000", b"")
    assert sorted(storage.paths()) == sorted(path for path, _ in files[::101])
    assert sorted(bucket.storage("").paths()) == sorted(bucket.objects())


def test_a_listing_of_several_pages_is_read_to_its_end(
    bucket: Bucket, line: Line, far: S3Storage
) -> None:
    for number in range(5):
        bucket.write(f"logs/one/tile/0/{number:03}", b"")

    def two_at_a_time(request: Request) -> None:
        request.path += "&max-keys=2"

    line.tamper = two_at_a_time
    assert sorted(far.paths())[1:] == [f"tile/0/{number:03}" for number in range(5)]
    assert len(line.seen) == 3


# ------------------------------------------------------------------ a line that fails


def test_an_answer_that_got_lost_is_an_error_and_the_next_process_finds_the_file(
    far: S3Storage, line: Line, bucket: Bucket, storage: S3Storage
) -> None:
    line.tamper = lambda request: "lose"
    with pytest.raises(StoreError, match="may have been stored"):
        far.put_new("tile/0/000", b"bytes")
    assert [method for method, _ in line.seen] == ["PUT"]
    assert bucket.files() == {"tile/0/000": b"bytes"}
    storage.put_new("tile/0/000", b"bytes")


def test_a_write_that_got_lost_is_an_error_and_is_not_sent_again(
    far: S3Storage, line: Line, bucket: Bucket
) -> None:
    line.tamper = lambda request: "cut"
    with pytest.raises(StoreError, match="may have been stored"):
        far.put_all([("tile/0/000", b"bytes")])
    assert len(line.seen) == 1
    assert bucket.files() == {}


def test_a_file_that_arrives_late_changes_nothing(
    far: S3Storage, line: Line, storage: S3Storage
) -> None:
    line.tamper = lambda request: "delay"
    with pytest.raises(StoreError):
        far.put_new("tile/0/000", b"late")
    storage.put_new("tile/0/000", b"good")
    assert line.deliver(line.late[0]) == 412
    assert storage.get("tile/0/000") == b"good"


@pytest.mark.parametrize("before", [None, b"zero"])
def test_a_checkpoint_that_arrives_late_does_not_replace_a_newer_one(
    far: S3Storage, line: Line, storage: S3Storage, before: bytes | None
) -> None:
    if before is not None:
        storage.replace("checkpoint", before)
    line.tamper = lambda request: "delay" if request.method == "PUT" else None
    with pytest.raises(StoreError):
        far.replace("checkpoint", b"one")
    storage.replace("checkpoint", b"two")
    assert line.deliver(line.late[0]) == 412
    assert storage.get("checkpoint") == b"two"


@pytest.mark.parametrize(("meanwhile", "refused"), [(b"ours", False), (b"theirs", True)])
def test_a_checkpoint_that_somebody_else_replaced_meanwhile_is_compared(
    far: S3Storage, line: Line, storage: S3Storage, meanwhile: bytes, refused: bool
) -> None:
    storage.replace("checkpoint", b"old")

    def overtake(request: Request) -> None:
        if request.method == "PUT":
            storage.replace("checkpoint", meanwhile)

    line.tamper = overtake
    if refused:
        with pytest.raises(StoreError, match="second sequencer"):
            far.replace("checkpoint", b"ours")
    else:
        far.replace("checkpoint", b"ours")
    assert storage.get("checkpoint") == meanwhile


@pytest.mark.parametrize(
    ("there", "raises"), [(b"bytes", None), (b"other", LogDamagedError), (None, StoreError)]
)
def test_a_write_that_meets_another_one_is_read_back(
    far: S3Storage,
    line: Line,
    storage: S3Storage,
    there: bytes | None,
    raises: type[Exception] | None,
) -> None:
    if there is not None:
        storage.put_new("tile/0/000", there)
    conflict = (409, "ConditionalRequestConflict")
    line.tamper = lambda request: conflict if request.method == "PUT" else None
    if raises is None:
        far.put_new("tile/0/000", b"bytes")
    else:
        with pytest.raises(raises, match=r"other bytes|another write of it has not ended"):
            far.put_new("tile/0/000", b"bytes")


def test_reads_may_be_repeated(
    line: Line, bucket: Bucket, storage: S3Storage, settings: Settings
) -> None:
    storage.put_new("tile/0/000", b"bytes")
    keep_logs_in(settings, bucket)
    settings.LEDGER_S3_ENDPOINT = line.endpoint
    line.tamper = lambda request: "cut" if len(line.seen) == 1 else None
    assert log_storage().get("tile/0/000") == b"bytes"
    assert len(line.seen) == 2


@pytest.mark.parametrize("ignored", ["If-None-Match", "If-Match"])
def test_a_store_that_ignores_conditions_is_refused_before_anything_is_written(
    bucket: Bucket, line: Line, ignored: str
) -> None:
    def forget(request: Request) -> None:
        request.headers.pop(ignored, None)

    line.tamper = forget
    loose = bucket.far_storage(line.endpoint)
    for write in (
        lambda: loose.put_new("tile/0/000", b""),
        lambda: loose.put_all([("tile/0/000", b"")]),
        lambda: loose.replace("checkpoint", b""),
        loose.sweep,
    ):
        with pytest.raises(StoreError, match="ignores If-None-Match or If-Match"):
            write()
    assert [is_temporary(path) for path in loose.paths()] == [True]


def test_a_store_that_knows_conditions_is_asked_as_often_as_one_likes(
    storage: S3Storage, bucket: Bucket
) -> None:
    assert storage.sweep() == storage.sweep() == 0
    assert [is_temporary(path) for path in storage.paths()] == [True]


# ------------------------------------------------------------------ a store that fails


@pytest.mark.parametrize(
    ("answer", "advice"),
    [
        ((403, "AccessDenied"), "answers 403 AccessDenied; check the credentials"),
        ((404, "NoSuchBucket"), "make the bucket"),
        ((501, "NotImplemented"), "use another store"),
        ((500, "InternalError"), "the store's own log"),
    ],
)
def test_a_store_that_refuses_is_told_with_what_to_do(
    far: S3Storage, line: Line, bucket: Bucket, answer: tuple[int, str], advice: str
) -> None:
    line.tamper = lambda request: answer
    for ask in (
        lambda: far.put_new("tile/0/000", b""),
        lambda: far.get("tile/0/000"),
        lambda: list(far.paths()),
    ):
        with pytest.raises(StoreError, match=advice) as caught:
            ask()
        assert caught.value.filename.startswith(f"s3://{bucket.name}/logs/one/")
        assert bucket.name not in str(caught.value.strerror)  # which pages show


def test_a_bucket_that_vanished_holds_the_log(bucket: Bucket, storage: S3Storage) -> None:
    storage.put_new("tile/0/000", b"")
    bucket.vanish()
    with pytest.raises(OSError, match="make the bucket, or correct LEDGER_STORAGE"):
        storage.room()
    with pytest.raises(StoreError, match="make the bucket"):
        storage.get("tile/0/000")  # not: the log holds no such tile
    with pytest.raises(StoreError, match="make the bucket"):
        storage.replace("checkpoint", b"")


def test_nobody_at_the_address_is_told(bucket: Bucket) -> None:
    gone = bucket.far_storage("http://127.0.0.1:1")
    for ask in (gone.room, lambda: gone.get("checkpoint"), lambda: gone.replace("x", b"")):
        with pytest.raises(StoreError, match="check LEDGER_S3_ENDPOINT and the network"):
            ask()


def test_a_process_without_credentials_is_told(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    nobody = S3Storage(
        bucket.name, "", make_client(bucket.endpoint, REGION, attempts=1, answer_s=1)
    )
    with pytest.raises(StoreError, match="check the credentials"):
        nobody.put_new("tile/0/000", b"")


# ------------------------------------------------------------------ clients


def test_one_process_has_one_client_and_a_fork_its_own(
    bucket: Bucket, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    real = storage_s3.make_client

    def make(endpoint: str, region: str, *, attempts: int, answer_s: float) -> object:
        made.append(attempts)
        return real(endpoint, region, attempts=attempts, answer_s=answer_s)

    monkeypatch.setattr(storage_s3, "make_client", make)
    storage_s3._clients.cache_clear()
    keep_logs_in(settings, bucket)
    first, second = log_storage(), log_storage("logs/second")
    first.put_new("tile/0/000", b"one")
    second.put_new("tile/0/000", b"two")
    assert first.get("tile/0/000") == b"one"
    assert set(bucket.files()) > {"logs/second/tile/0/000", "tile/0/000"}
    assert made == [1, storage_s3.READ_ATTEMPTS]
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert second.get("tile/0/000") == b"two"
    assert len(made) == 4


def test_writes_are_tried_once_and_the_address_of_the_store_decides_how_buckets_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    give_credentials(monkeypatch)
    aws = make_client("", REGION, attempts=1, answer_s=1)
    own = make_client("http://x", REGION, attempts=4, answer_s=1)
    assert aws.meta.config.retries["total_max_attempts"] == 1
    assert own.meta.config.retries["total_max_attempts"] == 4
    assert aws.meta.endpoint_url.startswith("https://s3.")
    assert own.meta.config.s3["addressing_style"] == "path"


# ------------------------------------------------------------------ a whole log


@pytest.fixture
def opened(bucket: Bucket, settings: Settings, db: None) -> None:
    """A log of size 0 in the bucket; takes the place of the fixture of that name."""
    keep_logs_in(settings, bucket)
    ledger.ensure_log()


def test_a_log_in_a_bucket_is_sequenced_witnessed_checked_and_proved(
    opened: None, wanda: Witness, bucket: Bucket
) -> None:
    entries = append_all(range(3))
    sequence()
    entries += append_all(range(3, 5))
    sequence()
    assert whole() == 5
    for number, entry in enumerate(entries):
        assert verified(entry, number).index == number
    page = open_note(bucket.read("logs/one/checkpoint"), [VKey.parse(ledger.log_vkey())])
    assert parse_checkpoint(page.text).size == 5


def test_a_bucket_holds_the_same_bytes_as_a_folder(
    opened: None, bucket: Bucket, settings: Settings
) -> None:
    """One log, its batches written now here, now there: neither place shows which."""
    append_all(range(3))
    sequence()
    in_bucket = files(log_storage())
    settings.LEDGER_STORAGE = ""
    copy(in_bucket, log_storage())
    assert whole() == 3
    append_all(range(3, 300))
    sequence()
    in_folder = files(log_storage())
    keep_logs_in(settings, bucket)
    with pytest.raises(LogDamagedError, match="is missing"):
        whole()
    copy(in_folder, log_storage())
    assert whole() == 300
    assert files(log_storage()) == in_folder
    assert set(bucket.objects()) >= {f"logs/one/{path}" for path in in_folder}


def files(storage: LogStorage) -> dict[str, bytes]:
    return {path: storage.get(path) for path in storage.paths() if not is_temporary(path)}


def copy(all_files: dict[str, bytes], storage: LogStorage) -> None:
    storage.put_all([item for item in all_files.items() if item[0] != CHECKPOINT])
    storage.replace(CHECKPOINT, all_files[CHECKPOINT])


def test_a_sequencer_whose_bucket_vanishes_loses_nothing(
    opened: None, bucket: Bucket, settings: Settings
) -> None:
    leader = sequencer()
    entry = claim(0).append()
    copy = bucket.objects()
    bucket.vanish()
    with pytest.raises((OSError, LogHeldError)):
        leader.cycle()
    bucket.client.create_bucket(Bucket=bucket.name)
    for key, data in copy.items():
        bucket.write(key, data)
    sequence()
    assert whole() == 1
    assert verified(entry, 0).index == 0


def test_an_answer_lost_in_the_middle_of_a_batch_costs_nothing_but_time(
    opened: None, line: Line, far: S3Storage
) -> None:
    entry = claim(0).append()
    leader = sequencer(far)
    line.tamper = lambda request: (
        "lose" if request.method == "PUT" and "entries" in request.path else None
    )
    with pytest.raises(StoreError, match="may have been stored"):
        leader.cycle()
    sequence()
    assert whole() == 1
    assert verified(entry, 0).index == 0


def test_a_foreign_file_in_the_bucket_stops_the_sequencer(opened: None, bucket: Bucket) -> None:
    claim(0).append()
    bucket.write("logs/one/tile/entries/000.p/1", b"foreign")
    with pytest.raises(LogDamagedError, match=r"tile/entries/000\.p/1 exists with other bytes"):
        sequence()
