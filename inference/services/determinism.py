"""Does a release give the same bits each time? Asked once for each release and kind of executor.

The executor runs it several times in fresh processes on one input (`services.examples`), and signs
nothing: this is no execution, and not for the ledger.

Commit point: the insert of the row, UNIQUE (revision, kind). A crash before it changes nothing, and
the next sweep tries again; an advisory lock keeps two workers from the same release at one time,
and dies with its connection. What the executor refuses for good gets a row that says why.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.db import connection
from django.db.models import Count, Exists, F, OuterRef, QuerySet
from django.db.models.functions import JSONObject

from assay.digests import sha256
from assay.tensors import tensor_digest
from inference.choices import ExecutorKind, InputSource, ReplayState
from inference.client import ExecutorError, ExecutorUnavailableError
from inference.errors import BadTensorError, InferenceError
from inference.models import DeterminismCheck, Replay
from inference.probing import probe
from inference.services.asking import executor, read_blob
from inference.services.examples import example_of, generated
from inference.services.plan import signature_of
from registry.errors import UnknownFileError
from registry.models import Release, Revision

STEP = 5
DEADLINE_S = 60.0
REASON = 1_000
log = logging.getLogger(__name__)


def kinds() -> list[str]:
    """Return the kinds of executor that a release is tried in."""
    native = [ExecutorKind.NATIVE.value] if settings.EXECUTOR_NATIVE_SLOTS else []
    return [ExecutorKind.PORTABLE.value, *native]


def unchecked(kind: str) -> QuerySet[Release]:
    """Return the releases with a graph that were not tried in this kind, the newest first."""
    done = DeterminismCheck.objects.filter(revision=OuterRef("revision"), kind=kind)
    rows = Release.objects.filter(~Exists(done), yanked_at=None).exclude(revision__graph_path="")
    return rows.select_related("revision").order_by("-created_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What was found about a revision: its checks, and how many executions have which verdict."""

    checks: Sequence[DeterminismCheck]
    verdicts: dict[str, int]


def known_of(revision: Revision) -> Known:
    """Return what was found about a revision; one query."""
    replays = Replay.objects.filter(execution__revision=revision, state=ReplayState.DONE)
    counted = replays.order_by().values("verdict").annotate(n=Count("execution", distinct=True))
    verdicts = counted.annotate(row=JSONObject(verdict=F("verdict"), n=F("n"))).values("row")
    rows = DeterminismCheck.objects.filter(revision=revision).order_by("-kind")
    found = list(rows.annotate(verdicts=ArraySubquery(verdicts)))
    told = found[0].verdicts if found else []
    return Known(checks=found, verdicts={item["verdict"]: item["n"] for item in told})


def check_some() -> int:
    """Try a few releases that were not tried; return how many were."""
    tried = 0
    for kind in kinds():
        for release in list(unchecked(kind)[:STEP]):
            with _locked(release.revision_id, kind) as mine:
                if not mine:
                    continue
                try:
                    tried += _check(release, kind)
                except ExecutorUnavailableError as error:
                    log.info("releases wait to be tried: %s", error)
                    return tried
    return tried


def _check(release: Release, kind: str) -> bool:
    """Try one release in one kind; False when it has to wait.

    Raises:
        ExecutorUnavailableError: nobody answers.
    """
    revision = release.revision
    row = DeterminismCheck(revision=revision, kind=kind, input_source=InputSource.GENERATED)
    try:
        signature = signature_of(revision)
        inputs = example_of(revision.card_metadata, signature.inputs, kind)
        if inputs is not None:
            row.input_source = InputSource.DECLARED
        else:
            graph = dict(signature.ref.resources)[signature.ref.graph]
            inputs = generated(signature.inputs, graph)
        row.input_digest = tensor_digest(inputs)
        found = probe(
            executor(), signature.ref, inputs, read_blob, kind=kind, deadline_s=DEADLINE_S
        )
    except ExecutorError as error:
        if error.retry or error.code in ("busy", "unavailable"):
            return False
        row.reason = error.message
    except (BadTensorError, InferenceError, UnknownFileError) as error:
        row.reason = error.message
    else:
        row.runtime = found.runtime.to_dict()
        row.digests = [list(one) for one in found.digests]
        row.runs = sum(len(one) for one in found.digests)
        row.equal = len({digest for one in found.digests for digest in one}) == 1
    row.reason = row.reason[:REASON].replace("\0", "\N{REPLACEMENT CHARACTER}")
    # The lock may have been another connection's: whoever was first stays.
    DeterminismCheck.objects.bulk_create([row], ignore_conflicts=True)
    return True


def lock_key(revision_id: str, kind: str) -> int:
    """Return the number of the advisory lock on trying a revision."""
    name = f"determinism {kind} {revision_id}".encode()
    return int.from_bytes(sha256(name)[:8], "big", signed=True)


@contextlib.contextmanager
def _locked(revision_id: str, kind: str) -> Iterator[bool]:
    """Try to be the only one who tries this release, for the length of a block."""
    key = lock_key(revision_id, kind)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [key])
        (mine,) = cursor.fetchone()
    try:
        yield mine
    finally:
        if mine:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [key])
