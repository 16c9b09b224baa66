"""Which of a card's results an execution proves.

The rules:

1. *Verified*: `source.url` names executions, each of this very revision, each in our ledger; or
   `verifyToken` is the compact receipt of an execution that rule 3 takes.
2. Everything else is *not checked*, with the reason. Nothing in an upload makes a result verified,
   and no other token is asked for anywhere.
3. A receipt counts when (a) it is the one spelling of an envelope, (b) a key that is registered as
   an executor's signed it, (c) it is an execution's statement, (d) the ledger has this very
   statement for that execution, and (e) it ran this revision, or another revision of this model
   whose graph and external data are the same bytes: to add the receipt to the card is to make a
   new revision.
4. What is proven is that these executions happened, with these inputs and outputs. The number was
   not computed again: the reader has the executions to do that from.

An address names executions when it is on this site: `/executions/<id>/` (also its receipt, or the
API's `/api/v1/executions/<id>`), or a whole batch, `/api/v1/batches/<id>`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from django.conf import settings

from assay.dsse import Envelope, PublicKey, parse_compact, verify_envelope
from assay.errors import AssayError, VerificationError
from assay.receipt import execution_of
from assay.statements import ExecutionPredicate, parse_statement
from registry import executions, selectors
from registry.choices import KeyRole
from registry.executions import Ran
from registry.models import Key, Revision, RevisionFile
from registry.services.evaluations import Result

MAX_TOKENS = 50
_ID = r"(?P<id>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
_ONE = re.compile(rf"/(?:api/v1/)?executions/{_ID}(?:/|/receipt)?(?:[?#].*)?")
_BATCH = re.compile(rf"/api/v1/batches/{_ID}/?(?:[?#].*)?")

NO_EXECUTION = "It names no execution of this site."
NOT_OURS = "What it names is not logged here as an execution of this very revision."
OTHER_MODEL = "The receipt is not about this model's graph."
UNSIGNED = "The token is not a receipt that an executor of this site signed."
UNLOGGED = "The ledger of this site has no such receipt."


class State(StrEnum):
    """What is known of a result."""

    VERIFIED = "verified"
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A result and what is known of it; `executions` are the ids (at most 20) that prove it.

    `count` is how many there are; `ran` is the revision that ran when it is another one.
    """

    result: Result
    state: State
    reason: str = ""
    executions: tuple[str, ...] = ()
    count: int = 0
    ran: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Receipt:
    envelope: Envelope
    predicate: ExecutionPredicate

    @property
    def id(self) -> UUID:
        return UUID(self.predicate.execution)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What was looked up for all results at once."""

    revision: Revision
    by_id: Mapping[UUID, Ran]
    batches: Mapping[UUID, list[Ran]]
    receipts: Mapping[str, _Receipt]
    same_graph: frozenset[str] = field(default_factory=frozenset)


def check(revision: Revision, results: Sequence[Result]) -> list[Checked]:
    """Return each result with what is known of it; at most four queries for all of them."""
    receipts = _receipts(results)
    ids, batches = _named(results)
    ids |= {receipt.id for receipt in receipts.values()}
    found = executions.find(ids, batches)
    by_batch: dict[UUID, list[Ran]] = {batch: [] for batch in batches}
    for ran in found:
        if ran.batch in by_batch:
            by_batch[ran.batch].append(ran)
    known = _Known(
        revision=revision,
        by_id={ran.id: ran for ran in found},
        batches=by_batch,
        receipts=receipts,
        same_graph=_same_graph(revision, receipts.values()),
    )
    return [_check(result, known) for result in results]


def _check(result: Result, known: _Known) -> Checked:
    by_token = _by_token(result, known)
    if by_token is not None and by_token.state == State.VERIFIED:
        return by_token
    by_url = _by_url(result, known)
    if by_url.state == State.VERIFIED or by_token is None:
        return by_url
    return by_token


# ------------------------------------------------------------------ the address


def _path(url: str) -> str:
    """Return what follows this site's address in `url`; `""` when it is another site's."""
    site = settings.SITE_URL
    if url.startswith(f"{site}/"):
        return url[len(site) :]
    return url if url.startswith("/") and not url.startswith("//") else ""


def _named(results: Iterable[Result]) -> tuple[set[UUID], set[UUID]]:
    ids: set[UUID] = set()
    batches: set[UUID] = set()
    for result in results:
        path = _path(result.source_url)
        if match := _ONE.fullmatch(path):
            ids.add(UUID(match["id"]))
        elif match := _BATCH.fullmatch(path):
            batches.add(UUID(match["id"]))
    return ids, batches


def _by_url(result: Result, known: _Known) -> Checked:
    path = _path(result.source_url)
    if match := _ONE.fullmatch(path):
        one = known.by_id.get(UUID(match["id"]))
        rows = [] if one is None else [one]
    elif match := _BATCH.fullmatch(path):
        rows = known.batches[UUID(match["id"])]
    else:
        return Checked(result=result, state=State.NOT_CHECKED, reason=NO_EXECUTION)
    if not rows or any(not _is_of(row, known.revision) for row in rows):
        return Checked(result=result, state=State.NOT_CHECKED, reason=NOT_OURS)
    return Checked(
        result=result,
        state=State.VERIFIED,
        executions=tuple(str(row.id) for row in rows[:20]),
        count=len(rows),
    )


def _is_of(row: Ran, revision: Revision) -> bool:
    return row.pae_sha256 is not None and row.revision == revision.pk


# ------------------------------------------------------------------ the token


def _receipts(results: Iterable[Result]) -> dict[str, _Receipt]:
    """Return the tokens that an executor signed: steps (a) to (c) of rule 3."""
    tokens = list(dict.fromkeys(result.token for result in results if result.token))[:MAX_TOKENS]
    if not tokens:
        return {}
    keys = [
        PublicKey(spki=bytes(spki))
        for spki in Key.objects.filter(role=KeyRole.EXECUTOR).values_list("spki", flat=True)
    ]
    found = {}
    for token in tokens:
        receipt = _receipt(token, keys)
        if receipt is not None:
            found[token] = receipt
    return found


def _receipt(token: str, keys: Sequence[PublicKey]) -> _Receipt | None:
    try:
        envelope = parse_compact(token)
        if not any(_signed_by(envelope, key) for key in keys):
            return None
        return _Receipt(
            envelope=envelope, predicate=execution_of(parse_statement(envelope.payload))
        )
    except AssayError:
        return None


def _signed_by(envelope: Envelope, key: PublicKey) -> bool:
    try:
        verify_envelope(envelope, key)
    except VerificationError:
        return False
    return True


def _by_token(result: Result, known: _Known) -> Checked | None:
    if not result.token:
        return None
    receipt = known.receipts.get(result.token)
    if receipt is None:
        return Checked(result=result, state=State.NOT_CHECKED, reason=UNSIGNED)
    row = known.by_id.get(receipt.id)
    if row is None or row.pae_sha256 != receipt.envelope.pae_sha256:
        return Checked(result=result, state=State.NOT_CHECKED, reason=UNLOGGED)
    own = receipt.predicate.revision == known.revision.pk
    if not own and receipt.predicate.revision not in known.same_graph:
        return Checked(result=result, state=State.NOT_CHECKED, reason=OTHER_MODEL)
    return Checked(
        result=result,
        state=State.VERIFIED,
        executions=(str(row.id),),
        count=1,
        ran="" if own else receipt.predicate.revision,
    )


def _same_graph(revision: Revision, receipts: Iterable[_Receipt]) -> frozenset[str]:
    """Return the revisions of this model that ran by a receipt and hold the same graph and data."""
    others = {item.predicate.revision for item in receipts} - {revision.pk}
    if not others or not revision.graph_path:
        return frozenset()
    paths = {revision.graph_path, *selectors.facts(revision).get("external", ())}
    rows = RevisionFile.objects.filter(
        revision__model_id=revision.model_id,
        revision__graph_path=revision.graph_path,
        revision_id__in=[revision.pk, *others],
        path__in=paths,
    ).values_list("revision_id", "path", "blob_id")
    held: dict[str, dict[str, str]] = {}
    for pk, path, digest in rows:
        held.setdefault(pk, {})[path] = digest
    ours = held.get(revision.pk, {})
    return frozenset(pk for pk in others if held.get(pk) == ours)
