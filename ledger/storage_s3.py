"""The log's files in a bucket: any object store that speaks S3 and writes on condition.

The rules of `ledger.storage` hold. An object appears whole or not at all, and lasts when the store
has answered, so what is left to say is what happens when it does not:

1. A file is created with `If-None-Match: *`, and never sent again by itself: writes are not
   retried. After a time-out nobody knows whether it was stored. The caller ends, a fresh start
   creates the same bytes, and compares them where the store says that they are there. Should the
   first one arrive later, its own condition refuses it (FiloSottile/sunlight#11).
2. `replace` is on condition of what was there when it began (`If-Match`). A checkpoint that was
   given up for lost and arrives later cannot take the place of a newer one.
3. Before its first write a storage asks the store for a second write under one name. A store that
   takes it knows no conditions and is refused.
4. Reads may be repeated. `MissingError` is the store's own word that there is no such object; all
   other failures are `StoreError`, an `OSError` that says what to do.

There are no temporaries: under `.new/` lies the one object that rule 3 asks with.
"""

from __future__ import annotations

import base64
import errno
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache
from typing import Any, Final, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from django.conf import settings

from assay.digests import sha256
from assay.errors import MissingError
from ledger.errors import LogDamagedError
from ledger.storage import NEW, Location, StoreError

WRITERS: Final = 8
CONNECT_S, WRITE_S = 3.0, 15.0
# A reader of the site waits for this one: three times five seconds are enough.
READ_S, READ_ATTEMPTS = 5.0, 3
ROOM: Final = 2**62
PROBE: Final = f"{NEW}/{'0' * 32}"
_NO_OBJECT = "0" * 32  # an ETag that nothing has
_PRECONDITION, _CONFLICT, _SERVER_ERROR = 412, 409, 500
_HINTS = {
    "NoSuchBucket": "make the bucket, or correct LEDGER_STORAGE",
    "NotImplemented": "it must take PUT with If-None-Match and If-Match: use another store",
    "PreconditionFailed": "somebody else wrote it meanwhile: is there a second sequencer?",
    "ConditionalRequestConflict": "another write of it has not ended yet: start again",
}
_CHECK_RIGHTS = "check the credentials, and that they may list the bucket, read and put objects"
_CHECK_STORE = "look into the store's own log"
_Result = TypeVar("_Result")


def make_client(endpoint: str, region: str, *, attempts: int, answer_s: float) -> Any:
    """Return an S3 client that tries each request `attempts` times in all, each for `answer_s`.

    `endpoint` is the address of the store, empty for that of AWS. Credentials are found as boto3
    finds them: variables, files, the machine's role.
    """
    config = Config(
        retries={"total_max_attempts": attempts, "mode": "standard"},
        connect_timeout=CONNECT_S,
        read_timeout=answer_s,
        max_pool_connections=2 * WRITERS,
        # A digest of our own goes with each write; other kinds are not known everywhere.
        request_checksum_calculation="when_required",
        s3={"addressing_style": "path" if endpoint else "auto"},
    )
    session = boto3.session.Session()
    return session.client("s3", endpoint_url=endpoint or None, region_name=region, config=config)


@lru_cache(maxsize=4)
def _clients(process: int, endpoint: str, region: str) -> tuple[Any, Any]:
    """Return the clients of this process to write and to read with; a fork makes its own."""
    return (
        make_client(endpoint, region, attempts=1, answer_s=WRITE_S),
        make_client(endpoint, region, attempts=READ_ATTEMPTS, answer_s=READ_S),
    )


class _OwnClient:
    """The client of whatever process uses it: a storage may be kept across a fork."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._store = settings.LEDGER_S3_ENDPOINT, settings.LEDGER_S3_REGION

    def __getattr__(self, name: str) -> Any:
        return getattr(_clients(os.getpid(), *self._store)[self._number], name)


def open_bucket(location: Location, place: str) -> S3Storage:
    """Return the storage of the log whose objects lie at `place` in `location`."""
    prefix = "/".join(part for part in (location.prefix, place) if part)
    return S3Storage(location.bucket, prefix, _OwnClient(0), _OwnClient(1))


class S3Storage:
    """A bucket, or the part of it under `prefix`; any number of threads may use it.

    `client` must try each request once only; `reader`, which gets the reads, may repeat them.
    """

    def __init__(self, bucket: str, prefix: str, client: Any, reader: Any = None) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._client = client
        self._reader = reader or client
        self._knows_conditions = False

    def put_new(self, path: str, data: bytes) -> None:
        self._check_conditions()
        self._create(path, data)

    def put_all(self, files: Sequence[tuple[str, bytes]]) -> None:
        """Create all of `files`, a few at a time; the first failure is raised when all ended."""
        self._check_conditions()
        with ThreadPoolExecutor(WRITERS, thread_name_prefix="log-files") as pool:
            created = [pool.submit(self._create, path, data) for path, data in files]
            wait(created)
        for one in created:
            one.result()

    def replace(self, path: str, data: bytes) -> None:
        self._check_conditions()
        etag = self._etag(path)
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        error = self._put(path, data, **condition)
        if error is not None and self._found(path) != data:
            raise self._error(path, error)

    def get(self, path: str) -> bytes:
        data = self._found(path)
        if data is None:
            raise MissingError(f"the log holds no {path}")
        return data

    def room(self) -> int:
        """Return a number without meaning: a bucket has no end.

        Raises:
            StoreError: the bucket is not there, or not for us. Nothing can be written then, and
                the sequencer waits as it does for a full disk.
        """
        self._ask("", lambda: self._reader.head_bucket(Bucket=self._bucket))
        return ROOM

    def paths(self) -> Iterator[str]:
        pages = iter(
            self._reader.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            )
        )
        while page := self._ask("", lambda: next(pages, None)):
            for item in page.get("Contents", ()):
                yield item["Key"].removeprefix(self._prefix)

    def sweep(self) -> int:
        """Remove nothing: whoever writes here leaves nothing half done."""
        self._check_conditions()
        return 0

    def _check_conditions(self) -> None:
        """Make sure, once, that this store writes on condition.

        Raises:
            StoreError: it does not, or does not answer.
        """
        if self._knows_conditions:
            return
        known = b"Assay asks here whether the store writes on condition.\n"
        self._put(PROBE, known, IfNoneMatch="*")
        for condition in ({"IfNoneMatch": "*"}, {"IfMatch": f'"{_NO_OBJECT}"'}):
            if self._put(PROBE, known, **condition) is None:
                said = "the object store ignores If-None-Match or If-Match, so a late write could"
                raise StoreError(
                    errno.EIO, f"{said} change the log; use another store", self._name(PROBE)
                )
        self._knows_conditions = True

    def _create(self, path: str, data: bytes) -> None:
        error = self._put(path, data, IfNoneMatch="*")
        if error is not None:
            self._compare(path, data, error)

    # ---------------------------------------------------------------- one request

    def _put(self, path: str, data: bytes, **condition: str) -> ClientError | None:
        """Write an object; return the store's answer when the condition did not hold."""
        digest = base64.b64encode(sha256(data)).decode()
        try:
            self._client.put_object(
                Bucket=self._bucket,
                Key=self._prefix + path,
                Body=data,
                ChecksumSHA256=digest,
                **condition,
            )
        except ClientError as error:
            if _status(error) in (_PRECONDITION, _CONFLICT):
                return error
            raise self._error(path, error) from error
        except BotoCoreError as error:
            raise self._error(path, error, "it may have been stored all the same") from error
        return None

    def _compare(self, path: str, data: bytes, refused: ClientError) -> None:
        found = self._found(path)
        if found is None:
            raise self._error(path, refused)
        if found != data:
            raise LogDamagedError(f"{path} exists with other bytes.")

    def _found(self, path: str) -> bytes | None:
        def read() -> bytes:
            answer = self._reader.get_object(Bucket=self._bucket, Key=self._prefix + path)
            with answer["Body"] as body:
                data: bytes = body.read()
            return data

        return self._ask(path, read, absent="NoSuchKey")

    def _etag(self, path: str) -> str | None:
        def ask() -> str:
            answer = self._reader.head_object(Bucket=self._bucket, Key=self._prefix + path)
            etag: str = answer["ETag"]
            return etag

        return self._ask(path, ask, absent="404")

    def _ask(
        self, path: str, request: Callable[[], _Result], *, absent: str = ""
    ) -> _Result | None:
        """Send a request that changes nothing; None when the store answers with `absent`."""
        try:
            return request()
        except ClientError as error:
            if absent and _code(error) == absent:
                return None
            raise self._error(path, error) from error
        except BotoCoreError as error:
            raise self._error(path, error) from error

    # ---------------------------------------------------------------- what people read

    def _name(self, path: str) -> str:
        return f"s3://{self._bucket}/{self._prefix}{path}"

    def _error(self, path: str, error: Exception, more: str = "") -> StoreError:
        """Return what people get to know. It is shown on pages: no address but in `filename`."""
        said = f"the object store does not answer ({type(error).__name__})"
        hint = "check LEDGER_S3_ENDPOINT and the network"
        if isinstance(error, NoCredentialsError):
            hint = _CHECK_RIGHTS
        elif isinstance(error, ClientError):
            code, status = _code(error), _status(error)
            said = f"the object store answers {status} {code}"
            other = _CHECK_RIGHTS if status < _SERVER_ERROR else _CHECK_STORE
            hint = _HINTS.get("NoSuchBucket" if code == "404" else code, other)
        text = "; ".join(filter(None, (said, more, hint)))
        return StoreError(errno.EIO, text, self._name(path))


def _status(error: ClientError) -> int:
    status: int = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return status


def _code(error: ClientError) -> str:
    code: str = error.response["Error"]["Code"]
    return code
