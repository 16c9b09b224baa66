"""How hub clients see the files of a revision: entries, folders, ETags, and what travels how.

A file is *regular* (its ETag and `oid` are Git's SHA-1) when it is empty, or small and named as
text; every other one is *LFS* (SHA-256). Reading asks name and size alone, so that every revision
has one answer, whoever made it; before an upload the first bytes count too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from assay.statements import timestamp
from registry.choices import RevisionState
from registry.models import Revision, RevisionFile
from registry.selectors import files
from registry.services.refs import history

REGULAR_MAX = 2**20
POINTER_SIZE = 134
_SUFFIXES = (".md", ".txt", ".json", ".yaml", ".yml", ".jinja")
_NAMES = (".gitattributes", ".gitignore")
_SECURITY = {
    RevisionState.PASSED: "safe",
    RevisionState.FLAGGED: "suspicious",
    RevisionState.FAILED: "unsafe",
    RevisionState.PENDING: "queued",
}
_HISTORY = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder of a revision: `oid` is 40 hex digits over all that is in it."""

    path: str
    oid: str


Entry = RevisionFile | Folder


def is_regular(path: str, size: int) -> bool:
    """Tell whether a file travels and is named as Git's own."""
    name = path.rpartition("/")[2]
    named = name.endswith(_SUFFIXES) or name.startswith("LICENSE") or name in _NAMES
    return size == 0 or (size <= REGULAR_MAX and named)


def is_text(sample: bytes) -> bool:
    """Tell whether the first bytes of a file are UTF-8, whose last character may be cut."""
    try:
        sample.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(sample) - 3 and error.reason == "unexpected end of data"
    return b"\0" not in sample


def etag(file: RevisionFile) -> str:
    """Return the hex digest that stands in the ETag."""
    blob = file.blob
    return blob.git_sha1 if is_regular(file.path, blob.size) else blob.sha256


def security(revision: Revision) -> str:
    """Return the hub's word for what the inspection said."""
    return _SECURITY[RevisionState(revision.state)]


def level(revision: Revision, folder: str, *, recursive: bool) -> list[Entry]:
    """Return the entries below `folder` (`""`: the root), sorted by path."""
    prefix = f"{folder}/" if folder else ""
    rows = files(revision)
    if prefix:
        rows = rows.filter(path__startswith=prefix)
    if recursive:
        return sorted(rows, key=lambda row: row.path)
    found: list[Entry] = []
    inside: dict[str, list[RevisionFile]] = {}
    for row in rows:
        first, slash, _ = row.path[len(prefix) :].partition("/")
        if slash:
            inside.setdefault(prefix + first, []).append(row)
        else:
            found.append(row)
    found += [_folder(path, rows) for path, rows in inside.items()]
    return sorted(found, key=lambda entry: entry.path)


def _folder(path: str, rows: Iterable[RevisionFile]) -> Folder:
    digest = hashlib.sha256()
    for row in sorted(rows, key=lambda row: row.path):
        digest.update(f"{row.path}\0{row.blob_id}\0".encode())
    return Folder(path=path, oid=digest.hexdigest()[:40])


def at_paths(revision: Revision, paths: Iterable[str]) -> list[Entry]:
    """Return the entries at `paths` in their order; unknown paths are left out."""
    asked = list(dict.fromkeys(path.strip("/") for path in paths))
    rows = {row.path: row for row in files(revision).filter(path__in=asked)}
    found: list[Entry] = []
    for path in asked:
        if path in rows:
            found.append(rows[path])
        elif path:
            inside = list(files(revision).filter(path__startswith=f"{path}/"))
            found += [_folder(path, inside)] if inside else []
    return found


def shown(
    entries: Iterable[Entry], revision: Revision, *, expand: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield `entries` as hub clients read them; `expand` adds the last commit and the scan."""
    entries = list(entries)
    last = last_commits(revision, [one for one in entries if isinstance(one, RevisionFile)])
    for entry in entries:
        if isinstance(entry, Folder):
            yield {"type": "directory", "path": entry.path, "oid": entry.oid, "size": 0}
            continue
        one = _file(entry)
        if expand:
            commit = last[entry.path]
            one["lastCommit"] = {
                "id": commit.pk,
                "title": title(commit),
                "date": timestamp(commit.created_at),
            }
            one["securityFileStatus"] = {
                "status": security(revision),
                "avScan": None,
                "pickleImportScan": None,
            }
        yield one


def _file(row: RevisionFile) -> dict[str, Any]:
    size = row.blob.size
    one = {"type": "file", "path": row.path, "size": size, "oid": row.blob.git_sha1}
    if not is_regular(row.path, size):
        one["lfs"] = {"oid": row.blob_id, "size": size, "pointerSize": POINTER_SIZE}
    return one


def title(revision: Revision) -> str:
    """Return the first line of a commit's message."""
    return revision.message.partition("\n")[0]


def last_commits(revision: Revision, rows: Iterable[RevisionFile]) -> Mapping[str, Revision]:
    """Return by path the revision that brought the file's content, as far as 1,000 commits back."""
    line = history(revision.pk, _HISTORY)
    commits = Revision.objects.in_bulk(line)
    wanted = {row.path: row.blob_id for row in rows}
    held = set(
        RevisionFile.objects.filter(revision_id__in=line, path__in=wanted).values_list(
            "revision_id", "path", "blob_id"
        )
    )
    found: dict[str, Revision] = {}
    for path, digest in wanted.items():
        oldest = line[0]
        for pk in line:
            if (pk, path, digest) not in held:
                break
            oldest = pk
        found[path] = commits[oldest]
    return found
