"""Inspections: a jailed process of the executor looks at each new revision's graph.

An advisory lock per revision keeps two workers from doing the same one; it dies with its
connection, so a dead worker's revision is simply found again. The registry takes the first report
and ignores every later one.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import asdict

from django.db import DataError, connection

from assay.digests import sha256
from inference.client import (
    ExecutorError,
    ExecutorUnavailableError,
    Finding,
    Inspection,
    RevisionFile,
)
from inference.errors import NotRunnableError
from inference.services.asking import executor, read_blob
from registry.choices import RevisionState
from registry.errors import UnknownFileError
from registry.models import Revision
from registry.selectors import files
from registry.services.revisions import record_inspection

BATCH = 50
log = logging.getLogger(__name__)


def inspect_pending() -> int:
    """Inspect the revisions that wait, oldest first; return how many got a report."""
    pending = Revision.objects.filter(state=RevisionState.PENDING).order_by("created_at")
    done = 0
    for revision_id in list(pending.values_list("pk", flat=True)[:BATCH]):
        with _locked(revision_id) as mine:
            if not mine:
                continue
            try:
                done += inspect(revision_id)
            except ExecutorUnavailableError as error:
                log.warning("inspections wait at revision %s: %s", revision_id, error)
                if isinstance(error.__cause__, OSError):  # nobody listens
                    return done
            except (DataError, ExecutorError, UnknownFileError) as error:
                log.warning("revision %s was not inspected: %s", revision_id, error)
    return done


def inspect(revision_id: str) -> bool:
    """Inspect one revision; False when it has its report already.

    What is too large for any executor fails: else it would be read and sent again for ever.

    Raises:
        ExecutorError, ExecutorUnavailableError, UnknownFileError: it waits on.
    """
    revision = Revision.objects.get(pk=revision_id)
    if revision.state != RevisionState.PENDING:
        return False
    listed = {file.path: file.blob for file in files(revision)}
    try:
        inspected = executor().inspect(
            read_blob(listed[revision.graph_path].sha256),
            graph=revision.graph_path,
            files=[
                RevisionFile(name=path, size=blob.size, sha256=blob.sha256)
                for path, blob in listed.items()
            ],
            read_blob=read_blob,
        )
    except NotRunnableError as error:
        inspected = _refused("too_large", revision.graph_path, error.message)
    except ExecutorError as error:
        if error.code != "bad_input":
            raise
        # The files are beyond it (weights that are too large together, say) and stay so.
        inspected = _refused("limits", revision.graph_path, error.message)
    if _has_nul(asdict(inspected)):
        # PostgreSQL keeps no such text, and the portable runtime would cut it there.
        words = "a name or text in the graph holds a NUL: name it otherwise"
        inspected = _refused("nul", revision.graph_path, words)
    record_inspection(revision_id, asdict(inspected))
    return True


def _has_nul(value: object) -> bool:
    if isinstance(value, dict):
        return any(_has_nul(item) for pair in value.items() for item in pair)
    if isinstance(value, list | tuple):
        return any(map(_has_nul, value))
    return isinstance(value, str) and "\0" in value


def _refused(code: str, place: str, words: str) -> Inspection:
    """Return the report on what fails before or after the executor has looked at it."""
    finding = Finding(code=code, place=place, remedy=words, level="failed")
    return Inspection(verdict="failed", findings=(finding,), facts=None, trial=None)


@contextlib.contextmanager
def _locked(revision_id: str) -> Iterator[bool]:
    """Try to be the only one who inspects this revision, for the length of a block."""
    key = int.from_bytes(sha256(b"inspection " + revision_id.encode())[:8], "big", signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [key])
        (mine,) = cursor.fetchone()
    try:
        yield mine
    finally:
        if mine:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [key])
