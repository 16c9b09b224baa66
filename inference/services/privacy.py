"""Disclosure: the caller of a private execution opens its commitments to everybody.

What was signed holds `commitment(salt, digest)` for input and output. Who is told salt and tensors
can check that these are what was committed to; nobody is before the caller says so.

1. The execution is the caller's own, private, and succeeded.
2. Kept: salts and digests are ours, and the tensors become readable, for as long as the policy
   says. Dropped: the caller brings salts and digests; the tensors stay gone.
3. Either way they open both commitments of the signed statement, or nothing changes.

**Commit point**: one UPDATE, which meets no row when the tensors were dropped meanwhile; the caller
is told, and may bring what they have. A disclosure is for ever (the database holds that, too).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from django.db import transaction
from django.db.models.functions import Now

from assay.digests import parse_hex, sha256_hex
from assay.dsse import parse_compact
from assay.errors import AssayError
from assay.receipt import execution_of
from assay.statements import TensorSet, parse_statement
from assay.tensors import commitment
from inference.choices import TERMINAL, ExecutionState
from inference.errors import (
    BadRequestError,
    DroppedError,
    EndedError,
    StillRunningError,
    UnknownExecutionError,
)
from inference.models import Execution
from inference.selectors import own, tensor_bytes
from registry.errors import UnknownFileError
from registry.rights import Caller
from registry.services import audit

_WHICH = ("input", "output")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What opens both commitments: hex salts and digests of `input` and `output`."""

    salts: Mapping[str, str]
    digests: Mapping[str, str]


def disclose(user: Caller, execution_id: uuid.UUID, opening: Opening | None = None) -> Execution:
    """Disclose a private execution of `user`'s, and return it; once more changes nothing.

    `opening` is needed where the tensors were dropped.

    Raises:
        UnknownExecutionError: `user` has started no such execution.
        BadRequestError: it is not private, or `opening` does not open what was signed.
        StillRunningError, EndedError: it has no output yet, or has none.
        DroppedError: the tensors were dropped, and there is no `opening`.
    """
    row = _own(user, execution_id)
    if row.disclosed_at is not None:
        return row
    kept = row.salts is not None and row.dropped_at is None
    found = (_kept(row) if kept else None) or opening
    if found is None:
        raise DroppedError(
            "Salts and tensors of this execution are not kept any more: "
            "send the salts and digests of input and output."
        )
    _check(row, found)
    if opening is not None:
        _check(row, opening)
    told = {**found.salts, **{f"{which}_digest": found.digests[which] for which in _WHICH}}
    rows = Execution.objects.filter(pk=row.pk, disclosed_at=None, dropped_at=row.dropped_at)
    keep = {"keep_until": None} if kept else {}
    with transaction.atomic():
        done = rows.update(disclosed_at=Now(), salts=told, **keep)
        if done:
            audit.note(row.caller, "execution.disclose", str(row.pk), model=row.model_name)
    if not done:
        # Dropped, or disclosed, in between: one more look tells which.
        return disclose(user, execution_id, opening)
    return _own(user, execution_id)


def _own(user: Caller, execution_id: uuid.UUID) -> Execution:
    related = ("input", "output", "revision__release", "revision__model__owner")
    row = own(user).filter(pk=execution_id).select_related(*related).first()
    if row is None:
        raise UnknownExecutionError("There is no such execution of yours.")
    if not row.private:
        raise BadRequestError("This execution is not private.")
    if row.state not in TERMINAL:
        raise StillRunningError("The execution has not ended.")
    if row.state != ExecutionState.SUCCEEDED:
        raise EndedError("Nothing was signed about this execution.", state=row.state)
    return row


def _kept(row: Execution) -> Opening | None:
    try:
        sets = {"input": row.input, "output": row.output}
        digests = {which: sha256_hex(tensor_bytes(one)) for which, one in sets.items() if one}
    except (DroppedError, UnknownFileError):
        return None  # dropped since the row was read
    salts = row.salts or {}
    return Opening(salts={which: salts.get(which, "") for which in _WHICH}, digests=digests)


def _check(row: Execution, opening: Opening) -> None:
    signed = execution_of(parse_statement(parse_compact(row.receipt).payload))
    for which, claimed in (("input", signed.input), ("output", signed.output)):
        if not _opens(claimed, opening.salts.get(which, ""), opening.digests.get(which, "")):
            raise BadRequestError(f"This does not open the commitment to the {which}.", field=which)


def _opens(claimed: TensorSet, salt: str, digest: str) -> bool:
    try:
        return commitment(parse_hex(salt), digest) == claimed.sha256
    except AssayError:
        return False
