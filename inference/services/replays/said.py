"""Replay statements: made by the own auditor, and checked when somebody else's comes in.

A stranger's statement is believed to be the stranger's, and no more. What is checked is that it
speaks about an execution of this site and makes sense as a whole, in this order:

1. execution and statement digest are those of the receipt that this site has;
2. the runtime is one under which the verdict can be given: `diverged` needs a runtime that must
   give the same bits, `unrunnable` names the receipt's own, the others are of the same kind;
3. output and verdict agree: equal to the receipt's for `exact`, another for `close` and `diverged`,
   none for `unrunnable`; `close` is for native runs alone;
4. a first divergence stands where something diverged, and nowhere else;
5. the one subject is the replayed output, without one the claimed output;
6. the checkpoint that the signer had seen is one that this log published.

Left out: whether the auditor ran anything.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec

from assay.dsse import parse_compact, public_key_of, sign
from assay.receipt import OUTPUT_NAME, execution_of
from assay.statements import (
    ExecutionPredicate,
    ReplayPredicate,
    Runtime,
    Statement,
    Subject,
    TensorSet,
    parse_statement,
    render,
)
from assay.statements.parts import NATIVE
from inference.choices import Verdict
from inference.errors import BadReplayError
from inference.models import Execution
from inference.services.replays.turns import Said
from ledger.services import is_checkpoint, observed


def receipt_of(execution: Execution) -> tuple[ExecutionPredicate, str]:
    """Return what the receipt of a succeeded execution says, and the hex SHA-256 of its PAE."""
    envelope = parse_compact(execution.receipt)
    return execution_of(parse_statement(envelope.payload)), envelope.pae_sha256.hex()


def say(
    execution: Execution,
    key: ec.EllipticCurvePrivateKey,
    *,
    verdict: str,
    runtime: Runtime | None = None,
    output: str = "",
    reason: str = "",
) -> Said:
    """Sign what a replay gave; `output` is its hex value in the form of the receipt, "" for none.

    Without a `runtime` it is the receipt's.

    Raises:
        LogBusyError: the log is not open yet.
    """
    claimed, digest = receipt_of(execution)
    found = TensorSet(form=claimed.output.form, sha256=output) if output else None
    predicate = ReplayPredicate(
        observed=observed(),
        execution=str(execution.pk),
        statement_sha256=digest,
        verdict=verdict,
        runtime=runtime or claimed.runtime,
        output=found,
        first_divergence=None,
    )
    subject = Subject(name=OUTPUT_NAME, sha256=(found or claimed.output).sha256)
    statement = predicate.statement([subject])
    return Said(
        envelope=sign(render(statement), key),
        key=public_key_of(key.public_key()),
        statement=statement,
        predicate=predicate,
        reason=reason,
    )


def check(execution: Execution, statement: Statement, predicate: ReplayPredicate) -> None:
    """Check a stranger's statement about `execution`, whose signature has been checked.

    Raises:
        BadReplayError: the detail has field, expected and found.
    """
    claimed, digest = receipt_of(execution)
    _same("execution", str(execution.pk), predicate.execution)
    _same("statement", digest, predicate.statement_sha256)
    _check_runtime(claimed, predicate)
    _check_output(claimed, predicate)
    subjects = [(item.name, item.sha256) for item in statement.subjects]
    _same("subject", [(OUTPUT_NAME, (predicate.output or claimed.output).sha256)], subjects)
    if not is_checkpoint(predicate.observed):
        raise _bad("observed", "a checkpoint that this log published", predicate.observed.to_dict())


def _check_runtime(claimed: ExecutionPredicate, predicate: ReplayPredicate) -> None:
    runtime, theirs = claimed.runtime, predicate.runtime
    if predicate.verdict == Verdict.UNRUNNABLE:
        _same("runtime", runtime.to_dict(), theirs.to_dict())
    elif theirs.kind != runtime.kind or (
        predicate.verdict == Verdict.DIVERGED and not runtime.comparable(theirs)
    ):
        raise _bad("runtime", f"one that must give the bits of {runtime.digest}", theirs.digest)


def _check_output(claimed: ExecutionPredicate, predicate: ReplayPredicate) -> None:
    verdict, output = predicate.verdict, predicate.output
    if (output is None) != (verdict == Verdict.UNRUNNABLE):
        raise _bad("output", "null when unrunnable, and only then", verdict)
    if output is not None:
        _same("output", claimed.output.form, output.form)
        if (output == claimed.output) != (verdict == Verdict.EXACT):
            raise _bad("verdict", "exact when the output is the receipt's, and only then", verdict)
    if verdict == Verdict.CLOSE and claimed.runtime.kind != NATIVE:
        raise _bad("verdict", "exact or diverged: portable runs give equal bits", verdict)
    if predicate.first_divergence is not None and verdict not in (Verdict.DIVERGED, Verdict.CLOSE):
        raise _bad("firstDivergence", "null where nothing diverged", predicate.first_divergence)


def _same(field: str, expected: object, found: object) -> None:
    if expected != found:
        raise _bad(field, expected, found)


def _bad(field: str, expected: object, found: object) -> BadReplayError:
    return BadReplayError(
        f"The replay statement has another '{field}' than a replay of this execution would have.",
        field=field,
        expected=expected,
        found=found,
    )
