"""The statement that an auditor signs about an execution that was run again."""

from __future__ import annotations

from assay.receipt import OUTPUT_NAME
from assay.statements import (
    ExecutionPredicate,
    Observed,
    ReplayPredicate,
    Statement,
    Subject,
    TensorSet,
)


def replay_statement(
    claimed: ExecutionPredicate,
    statement: str,
    observed: Observed,
    *,
    verdict: str,
    output: str = "",
    first_divergence: str | None = None,
) -> Statement:
    """Return the statement about a replay under the runtime of the receipt.

    `statement` is the hex SHA-256 of the replayed statement's PAE; `output` the hex value of the
    replayed output in the form of the receipt, "" for none. The same arguments give the same
    bytes, so that a step which is done again makes no second claim.

    Raises:
        FormatError: a value that no statement can carry.
    """
    found = TensorSet(form=claimed.output.form, sha256=output) if output else None
    predicate = ReplayPredicate(
        observed=observed,
        execution=claimed.execution,
        statement_sha256=statement,
        verdict=verdict,
        runtime=claimed.runtime,
        output=found,
        first_divergence=first_divergence,
    )
    return predicate.statement([Subject(name=OUTPUT_NAME, sha256=(found or claimed.output).sha256)])
