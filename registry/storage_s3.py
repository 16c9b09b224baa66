"""Blobs in a bucket: any object store that speaks S3.

The rules of `registry.storage` hold: a blob's address is its digest, and nothing gets there that
was not hashed here. What a client sends straight to the store goes elsewhere, to `incoming/`:

    start     a multipart upload of `incoming/<id>`, for which the client gets addresses, signed
              and short-lived, one for each part
    join      the store makes one object of the parts; from now on no address leads to it
    read      it is hashed whole, as it stands in the store: its ETag says which one it is
    adopt     the store copies it, on condition of that ETag, to the address of its digest
    forget    `incoming/<id>` goes, and a multipart upload that was never finished with it

Commit points: a blob is there when the store has answered the `PUT` or the copy, whole or not at
all. A crash leaves an object in `incoming/`, which the sweeper takes after the upload's row. A
blob that is there already is not written again.

What the collector takes away is copied to `aside/` before it is removed, inside the store: a bucket
renames nothing. Should the collector's database connection be cut, and its lock with it, while
another stores the same content, it is copied back, by that run or the next (`put_back`).
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Final, cast
from urllib.parse import urlsplit

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from registry.errors import InvalidInputError, StoreAwayError, UnknownFileError
from registry.hashing import Hashing
from registry.storage import (
    CHUNK,
    Found,
    Source,
    StoredBlob,
    TemporaryFile,
    as_chunks,
    blob_path,
    check_digest,
    git_state,
    sweep_strays,
    write_hashed,
)

MIN_PART_BYTES: Final = 5 * 2**20  # but the last one: the protocol's own limit
ADDRESS_S: Final = 3600
COPY_PART_BYTES: Final = 512 * 2**20
MAX_COPY_BYTES: Final = 5 * 2**30  # of one request
PAGE: Final = 1000  # the most that the store lists at once
_GONE = {"404", "NoSuchKey", "NotFound", "NoSuchUpload"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part that the store has: number from 1, size in bytes, the store's ETag."""

    number: int
    size: int
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """What lies in `incoming/`: the upload's id, the multipart upload (or ""), since when."""

    name: str
    multipart: str
    begun_at: float


@lru_cache(maxsize=8)
def _client(process: int, endpoint: str, region: str) -> Any:
    """Return the client of this process; a fork makes its own."""
    config = Config(
        retries={"total_max_attempts": 3, "mode": "standard"},
        connect_timeout=3,
        read_timeout=30,
        max_pool_connections=32,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        signature_version="s3v4",
        s3={"addressing_style": "path" if endpoint else "auto"},
    )
    session = boto3.session.Session()
    return session.client("s3", endpoint_url=endpoint or None, region_name=region, config=config)


def open_bucket(place: str = "") -> S3Blobs:
    """Return the bucket that BLOBS_STORAGE names, or the part of it that is `place`."""
    parts = urlsplit(settings.BLOBS_STORAGE)
    prefix = "/".join(part for part in (parts.path.strip("/"), place.strip("/")) if part)
    return S3Blobs(parts.netloc, f"{prefix}/" if prefix else "")


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Let every failure of the store be one of ours."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _GONE:
            raise UnknownFileError("The store has no such object.") from error
        raise StoreAwayError(f"The object store refused a request: {code}.") from error
    except (BotoCoreError, OSError) as error:
        raise StoreAwayError("The object store does not answer.") from error


class S3Blobs:
    """Blobs below `prefix` of a bucket; as `registry.storage.Blobs`, and with signed addresses."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = prefix

    @property
    def _s3(self) -> Any:
        return _client(os.getpid(), settings.BLOBS_S3_ENDPOINT, settings.BLOBS_S3_REGION)

    def _key(self, sha256: str) -> str:
        return self._prefix + blob_path(sha256)

    def _call(self, name: str, **arguments: Any) -> dict[str, Any]:
        with _told():
            answer: dict[str, Any] = getattr(self._s3, name)(Bucket=self._bucket, **arguments)
        return answer

    # -------------------------------------------------------------- the storage of blobs

    def put(
        self, source: Source, expected_sha256: str | None = None, *, size: int | None = None
    ) -> StoredBlob:
        """Store `source` under its SHA-256; as `Blobs.put`.

        Raises:
            DigestMismatchError, InvalidInputError: as `Blobs.put`; nothing is stored.
            StoreAwayError: the store does not take it; whether it is stored is not known.
        """
        chunks, known = as_chunks(source)
        size = known if size is None else size
        with TemporaryFile(self._temporary()) as temporary:
            stored = write_hashed(chunks, temporary, size)
            check_digest(stored, expected_sha256)
            if self.exists(stored.sha256):
                return stored
            temporary.file.flush()
            # In parts of 8 MiB, two at a time: what is in memory does not grow with the blob.
            how = TransferConfig(max_concurrency=2)
            with temporary.path.open("rb") as stream, _told():
                self._s3.upload_fileobj(stream, self._bucket, self._key(stored.sha256), Config=how)
        return stored

    def open(self, sha256: str) -> BinaryIO:
        """Return a seekable stream of the blob, which asks for what is read and no more.

        Raises:
            UnknownFileError: there is none.
        """
        try:
            size = int(self._call("head_object", Key=self._key(sha256))["ContentLength"])
        except UnknownFileError:
            raise UnknownFileError("No content has this digest.", sha256=sha256) from None
        return cast(BinaryIO, io.BufferedReader(_Ranges(self, self._key(sha256), size), CHUNK))

    def exists(self, sha256: str) -> bool:
        """Tell whether the blob is stored."""
        try:
            self._call("head_object", Key=self._key(sha256))
        except UnknownFileError:
            return False
        return True

    def delete(self, sha256: str) -> None:
        """Remove the blob; nothing happens when there is none."""
        self._call("delete_object", Key=self._key(sha256))

    def sweep(self) -> int:
        """Remove temporary files that a crash left more than a day ago; return how many."""
        return sweep_strays(self._temporary())

    def _temporary(self) -> Path:
        return Path(settings.UPLOADS_DIR) / "tmp"

    # -------------------------------------------------------------- for the collector

    def walk(self) -> Iterator[Found]:
        """Yield every blob that is stored."""
        for item in self._list(self._prefix):
            name = str(item["Key"]).rpartition("/")[2]
            with contextlib.suppress(UnknownFileError):
                if item["Key"] == self._key(name):
                    yield Found(sha256=name, written_at=item["LastModified"].timestamp())

    def _list(self, prefix: str) -> Iterator[dict[str, Any]]:
        more: dict[str, str] = {}
        while True:
            page = self._call("list_objects_v2", Prefix=prefix, MaxKeys=PAGE, **more)
            yield from page.get("Contents", ())
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _aside(self, sha256: str) -> str:
        blob_path(sha256)  # a digest and nothing else
        return f"{self._prefix}aside/{sha256}"

    def set_aside(self, sha256: str) -> None:
        """Take a blob out of sight; nothing happens when there is none."""
        key = self._key(sha256)
        with contextlib.suppress(UnknownFileError):
            found = self._call("head_object", Key=key)
            self._copy(key, self._aside(sha256), found["ContentLength"], found["ETag"])
        self._call("delete_object", Key=key)

    def put_back(self, sha256: str) -> None:
        """Bring a blob back that was set aside, unless it has been stored anew."""
        aside = self._aside(sha256)
        with contextlib.suppress(UnknownFileError):
            found = self._call("head_object", Key=aside)
            if not self.exists(sha256):
                self._copy(aside, self._key(sha256), found["ContentLength"], found["ETag"])
        self.drop_aside(sha256)

    def drop_aside(self, sha256: str) -> None:
        """Remove a blob that was set aside, for good."""
        self._call("delete_object", Key=self._aside(sha256))

    def walk_aside(self) -> Iterator[str]:
        """Yield what was set aside and neither removed nor put back: a collector ended there."""
        for item in self._list(f"{self._prefix}aside/"):
            name = str(item["Key"]).rpartition("/")[2]
            with contextlib.suppress(UnknownFileError):
                if item["Key"] == self._aside(name):
                    yield name

    # -------------------------------------------------------------- straight from the client

    def _incoming(self, upload: str) -> str:
        return f"{self._prefix}incoming/{upload}"

    def start(self, upload: str) -> str:
        """Begin a multipart upload for the upload of this id; return the store's name for it."""
        return str(self._call("create_multipart_upload", Key=self._incoming(upload))["UploadId"])

    def part_address(self, upload: str, multipart: str, number: int, size: int) -> str:
        """Return where to `PUT` part `number` (from 1) of `size` bytes, for an hour."""
        return self._sign(
            "upload_part",
            ADDRESS_S,
            Key=self._incoming(upload),
            UploadId=multipart,
            PartNumber=number,
            ContentLength=size,
        )

    def parts(self, upload: str, multipart: str) -> list[Part]:
        """Return the parts that the store has, by number; UnknownFileError: no such upload."""
        found: list[Part] = []
        more: dict[str, int] = {}
        while True:
            page = self._call(
                "list_parts",
                Key=self._incoming(upload),
                UploadId=multipart,
                MaxParts=PAGE,
                **more,
            )
            found += [
                Part(number=item["PartNumber"], size=item["Size"], etag=item["ETag"])
                for item in page.get("Parts", ())
            ]
            if not page.get("IsTruncated"):
                return sorted(found, key=lambda part: part.number)
            more = {"PartNumberMarker": page["NextPartNumberMarker"]}

    def join(self, upload: str, multipart: str) -> None:
        """Make one object of the parts that the store has; harmless when that has happened.

        Raises:
            UnknownFileError: the store knows neither the parts nor the object.
        """
        try:
            listed = self.parts(upload, multipart)
            self._call(
                "complete_multipart_upload",
                Key=self._incoming(upload),
                UploadId=multipart,
                MultipartUpload={
                    "Parts": [{"PartNumber": one.number, "ETag": one.etag} for one in listed]
                },
            )
        except UnknownFileError:
            self._call("head_object", Key=self._incoming(upload))

    def adopt(self, upload: str, expected: str, size: int) -> StoredBlob:
        """Hash what came for `upload` and make it the blob of its digest.

        Raises:
            DigestMismatchError: the bytes have another digest; nothing is stored.
            InvalidInputError: there are more or fewer than `size`; nothing is stored.
            UnknownFileError: nothing came, or it was changed while it was read.
        """
        key = self._incoming(upload)
        answer = self._call("get_object", Key=key)
        sha256, git, found = hashlib.sha256(), git_state(size), 0
        with Hashing(sha256, git) as hashing, _told():
            for chunk in answer["Body"].iter_chunks(CHUNK):
                hashing.update(chunk)
                found += len(chunk)
        stored = StoredBlob(sha256=sha256.hexdigest(), size=found, git_sha1=git.hexdigest())
        check_digest(stored, expected)
        if found != size:
            raise InvalidInputError(
                "The content has another length than it should.", expected=size, found=found
            )
        if not self.exists(expected):
            self._copy(key, self._key(expected), size, answer["ETag"])
        return stored

    def _copy(self, source: str, target: str, size: int, etag: str) -> None:
        what = {"CopySource": {"Bucket": self._bucket, "Key": source}, "CopySourceIfMatch": etag}
        if size <= MAX_COPY_BYTES:
            self._call("copy_object", Key=target, **what)
            return
        name = self._call("create_multipart_upload", Key=target)["UploadId"]
        parts = []
        for number, start in enumerate(range(0, size, COPY_PART_BYTES), 1):
            end = min(start + COPY_PART_BYTES, size) - 1
            answer = self._call(
                "upload_part_copy",
                Key=target,
                UploadId=name,
                PartNumber=number,
                CopySourceRange=f"bytes={start}-{end}",
                **what,
            )
            parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
        self._call(
            "complete_multipart_upload",
            Key=target,
            UploadId=name,
            MultipartUpload={"Parts": parts},
        )

    def forget(self, upload: str, multipart: str) -> None:
        """Remove what came for `upload`; nothing happens when there is nothing."""
        if multipart:
            with contextlib.suppress(UnknownFileError):
                self._call("abort_multipart_upload", Key=self._incoming(upload), UploadId=multipart)
        self._call("delete_object", Key=self._incoming(upload))

    def walk_incoming(self) -> Iterator[Incoming]:
        """Yield what came, or began to come, straight from clients."""
        before = self._incoming("")
        for item in self._list(before):
            name = str(item["Key"]).removeprefix(before)
            yield Incoming(name=name, multipart="", begun_at=item["LastModified"].timestamp())
        more: dict[str, str] = {}
        while True:
            page = self._call("list_multipart_uploads", Prefix=before, MaxUploads=PAGE, **more)
            for item in page.get("Uploads", ()):
                yield Incoming(
                    name=str(item["Key"]).removeprefix(before),
                    multipart=str(item["UploadId"]),
                    begun_at=item["Initiated"].timestamp(),
                )
            if not page.get("IsTruncated"):
                return
            more = {
                "KeyMarker": page["NextKeyMarker"],
                "UploadIdMarker": page["NextUploadIdMarker"],
            }

    # -------------------------------------------------------------- straight to the client

    def address(self, sha256: str, lifetime_s: int, *, disposition: str, cache: str) -> str:
        """Return where the blob can be fetched for `lifetime_s`, with these headers."""
        return self._sign(
            "get_object",
            lifetime_s,
            Key=self._key(sha256),
            ResponseContentDisposition=disposition,
            ResponseContentType="application/octet-stream",
            ResponseCacheControl=cache,
        )

    def _sign(self, method: str, lifetime_s: int, **arguments: Any) -> str:
        endpoint = settings.BLOBS_S3_PUBLIC or settings.BLOBS_S3_ENDPOINT
        client = _client(os.getpid(), endpoint, settings.BLOBS_S3_REGION)
        address: str = client.generate_presigned_url(
            method, Params={"Bucket": self._bucket, **arguments}, ExpiresIn=lifetime_s
        )
        return address

    def read_range(self, key: str, first: int, count: int) -> bytes:
        """Return `count` bytes of an object from `first` on."""
        answer = self._call("get_object", Key=key, Range=f"bytes={first}-{first + count - 1}")
        with _told():
            data: bytes = answer["Body"].read()
        return data


class _Ranges(io.RawIOBase):
    """An object as a seekable file; each read is one request for a range."""

    def __init__(self, store: S3Blobs, key: str, size: int) -> None:
        super().__init__()
        self._store, self._object, self._size, self._at = store, key, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self._size - self._at)
        if count <= 0:
            return 0
        data = self._store.read_range(self._object, self._at, count)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
