"""`preupload` and `commit`: what travels how, and changes as lines of JSON.

A commit's body is read line by line and never whole: each line is at most 16 MiB, and the content
of a regular file is stored before the next line is read. A body that ends early makes no commit.
What was stored for a commit that is then refused is its sender's content like any upload, and no
revision names it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest, HttpResponse

from registry.errors import (
    ConflictError,
    InvalidInputError,
    TooLargeError,
    UnknownFileError,
)
from registry.hf import files
from registry.hf.answers import HubError, endpoint
from registry.hf.calls import (
    flag,
    items,
    length,
    parse_object,
    read_call,
    read_json,
    reader,
    text,
    whole,
)
from registry.hf.ignore import Ignored
from registry.hf.repos import answer
from registry.models import Owner, Revision
from registry.rights import need_write
from registry.selectors import file_of, files as files_of, usable
from registry.services import commits, contents, quotas, refs, revisions
from registry.services.commits import Add, Change, Delete
from registry.storage import CHUNK

MAX_FILES = 256
MAX_SAMPLE = 4096
_IGNORE_FILE = ".gitignore"


# ------------------------------------------------------------------ preupload


@endpoint("POST")
def preupload(request: HttpRequest, owner: str, name: str, revision: str) -> HttpResponse:
    """Say of each file whether it goes as regular or LFS content, is ignored, is there already."""
    call = read_call(request)
    user = call.account(write=True)
    model = call.model(owner, name)
    need_write(user, model)
    fields = read_json(request)
    row = refs.find_branch(model, revision)
    head = model.head if row is None else row.revision
    ignored = Ignored(text(fields, "gitIgnore") or _stored_rules(head))
    held = {}
    if head is not None:
        held = {found.path: found.blob for found in files_of(head)}
    told = []
    for item in items(fields, "files", MAX_FILES):
        path, size = text(item, "path"), whole(item, "size")
        regular = files.is_regular(path, size) and files.is_text(_sample(item))
        blob = held.get(path)
        oid = None if blob is None else blob.git_sha1 if regular else blob.sha256
        told.append(
            {
                "path": path,
                "uploadMode": "regular" if regular else "lfs",
                "shouldIgnore": path in ignored,
                "oid": oid,
            }
        )
    return answer({"files": told})


def _sample(item: dict[str, Any]) -> bytes:
    try:
        return base64.b64decode(text(item, "sample")[: 2 * MAX_SAMPLE], validate=True)
    except (ValueError, binascii.Error):
        raise InvalidInputError("'sample' is base64.", field="sample") from None


def _stored_rules(head: Revision | None) -> str:
    if head is None:
        return ""
    try:
        found = file_of(head, _IGNORE_FILE)
    except UnknownFileError:
        return ""
    return contents.read_small(found.blob_id, 64 * 1024).decode("utf-8", "replace")


# ------------------------------------------------------------------ commit


@dataclass(slots=True)
class _Read:
    """What the lines say."""

    header: dict[str, Any] | None = None
    changes: list[Change] = field(default_factory=list)


@endpoint("POST")
def commit(request: HttpRequest, owner: str, name: str, revision: str) -> HttpResponse:
    """Make a commit of the changes in the body."""
    call = read_call(request)
    user = call.account(write=True)
    model = call.model(owner, name)
    need_write(user, model)
    refs.find_branch(model, revision)
    if flag(request.GET, "create_pr"):
        raise InvalidInputError("Pull requests are not offered here: commit to a branch.")
    size = length(request)
    if size > settings.COMMIT_MAX_BYTES:
        limit = settings.COMMIT_MAX_BYTES
        raise TooLargeError(f"A commit has at most {limit} bytes: send less at once.", limit=limit)
    read = _read(user, model.owner, request)
    if read.header is None:
        raise InvalidInputError("The first line of a commit is its header.")
    try:
        made = commits.apply(
            user,
            model,
            revision,
            read.changes,
            parent=text(read.header, "parentCommit"),
            message=_message(read.header),
        )
    except ConflictError as error:
        raise HubError(412, error.message) from error
    return answer(
        {
            "success": True,
            "commitOid": made.pk,
            "commitUrl": f"{call.base}/models/{model.full_name}/commit/{made.pk}",
            "hookOutput": "",
        },
        made,
    )


def _message(header: dict[str, Any]) -> str:
    """Return summary and description, as long as a message may be."""
    words = f"{text(header, 'summary').strip()}\n\n{text(header, 'description').strip()}".strip()
    return words[: revisions.MAX_MESSAGE]


def _read(user: AbstractBaseUser, owner: Owner, request: HttpRequest) -> _Read:
    read = _Read()
    for number, line in enumerate(_lines(request), 1):
        if number > settings.COMMIT_MAX_LINES:
            limit = settings.COMMIT_MAX_LINES
            raise TooLargeError(f"A commit has at most {limit} lines.", limit=limit)
        try:
            _take(user, owner, read, parse_object(line))
        except InvalidInputError as error:
            raise InvalidInputError(f"Line {number}: {error.message}", line=number) from error
    return read


def _lines(request: HttpRequest) -> Iterator[bytes]:
    """Yield the lines of the body; at most one line and one piece are in memory."""
    limit = settings.COMMIT_MAX_LINE_BYTES
    waiting, read = bytearray(), reader(request)
    while chunk := read(CHUNK):
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            waiting += end
            _check_line(waiting, limit)
            if waiting.strip():
                yield bytes(waiting)
            waiting.clear()
        waiting += rest
        _check_line(waiting, limit)
    if waiting.strip():
        yield bytes(waiting)


def _check_line(line: bytearray, limit: int) -> None:
    if len(line) > limit:
        raise TooLargeError(
            f"A line of a commit has at most {limit} bytes: send large files by LFS.", limit=limit
        )


def _take(user: AbstractBaseUser, owner: Owner, read: _Read, line: dict[str, Any]) -> None:
    key, value = line.get("key"), line.get("value")
    if not isinstance(value, dict):
        raise InvalidInputError("'value' is an object.")
    if key == "header":
        if read.header is not None or read.changes:
            raise InvalidInputError("The header comes once, and first.")
        read.header = value
        return
    if read.header is None:
        raise InvalidInputError("The header comes first.")
    path = text(value, "path")
    match key:
        case "file":
            read.changes.append(_stored(user, owner, path, value))
        case "lfsFile":
            if value.get("algo", "sha256") != "sha256":
                raise InvalidInputError("'algo' is sha256.")
            size = None if value.get("size") is None else whole(value, "size")
            read.changes.append(Add(path=path, sha256=text(value, "oid"), size=size))
        case "deletedFile" | "deletedFolder":
            read.changes.append(Delete(path=path, folder=key == "deletedFolder"))
        case _:
            raise InvalidInputError(f"'{str(key)[:40]}' is no key that is known here.")


def _stored(user: AbstractBaseUser, owner: Owner, path: str, value: dict[str, Any]) -> Add:
    """Store the content of a regular file, within the quota of the model's owner."""
    if text(value, "encoding", "base64") != "base64":
        raise InvalidInputError("'encoding' is base64.")
    try:
        data = base64.b64decode(text(value, "content"), validate=True)
    except (ValueError, binascii.Error):
        raise InvalidInputError(f"The content of '{path[:200]}' is no base64.") from None
    digest = hashlib.sha256(data).hexdigest()
    if digest not in usable(user, [digest]):
        quotas.check_room(owner, len(data))
        contents.store(user, data, owner=owner)
    return Add(path=path, sha256=digest, size=len(data))
