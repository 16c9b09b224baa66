"""What the executor signed is checked again before a row says so.

The executor is another process, perhaps another machine, and its word goes into a log that nobody
can take back. So, in this order:

1. the compact form is one strict envelope;
2. its signature is by a registered executor key that is not revoked;
3. the payload is an execution statement, and every field is what was asked: execution, model,
   revision, manifest, graph, input digest, kind of runtime, and the checkpoint that was shown;
4. the output digest is that of the tensors that came with it, and the one subject.

Left out: whether the model really gives this output. That is for a replay to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assay.dsse import Envelope, PublicKey, parse_compact, verify_envelope
from assay.errors import FormatError, VerificationError
from assay.receipt import OUTPUT_NAME, execution_of
from assay.statements import (
    ExecutionPredicate,
    Graph,
    Observed,
    Statement,
    Subject,
    parse_statement,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a statement must say, as this side knows it; digests are hex SHA-256."""

    execution: str
    model: str
    revision: str
    manifest: str
    graph: Graph
    input_digest: str
    output_digest: str
    kind: str
    observed: Observed


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A statement that holds, the envelope that carries it, and whose it is."""

    envelope: Envelope
    key: PublicKey
    statement: Statement
    predicate: ExecutionPredicate


def check(compact: str, expected: Expected, keys: Sequence[PublicKey]) -> Signed:
    """Return the statement in `compact` when it is signed by one of `keys` and says `expected`.

    Raises:
        FormatError: not an envelope, not an execution statement.
        VerificationError: nobody's signature, or a field that says something else.
    """
    envelope = parse_compact(compact)
    key = _signer(envelope, keys)
    statement = parse_statement(envelope.payload)
    predicate = execution_of(statement)
    said = Expected(
        execution=predicate.execution,
        model=predicate.model,
        revision=predicate.revision,
        manifest=predicate.manifest,
        graph=predicate.graph,
        input_digest=_digest(predicate.input.form, predicate.input.sha256),
        output_digest=_digest(predicate.output.form, predicate.output.sha256),
        kind=predicate.runtime.kind,
        observed=predicate.observed,
    )
    if said != expected:
        raise VerificationError(
            "the statement is about something else", expected=str(expected), found=str(said)
        )
    if statement.subjects != (Subject(name=OUTPUT_NAME, sha256=expected.output_digest),):
        raise VerificationError("the subject is not the output")
    return Signed(envelope=envelope, key=key, statement=statement, predicate=predicate)


def _signer(envelope: Envelope, keys: Sequence[PublicKey]) -> PublicKey:
    for key in keys:
        try:
            verify_envelope(envelope, key)
        except VerificationError:
            continue
        return key
    raise VerificationError("the statement is not signed by a registered executor key")


def _digest(form: str, sha256: str) -> str:
    if form != "digest":
        raise FormatError("a public execution shows digests, not commitments")
    return sha256
