"""What the executor signed is checked again before a row says so.

The executor is another process, perhaps another machine, and its word goes into a log that nobody
can take back. So, in this order:

1. the compact form is one strict envelope;
2. its signature is by a registered executor key that is not revoked;
3. the payload is an execution statement, and every field is what was asked: execution, model,
   revision, manifest, graph, input digest, kind of runtime, and the checkpoint that was shown;
4. the output digest is that of the tensors that came with it, and the one subject; of a private
   execution the statement holds commitments, and the salts that came with it open both.

Left out: whether the model really gives this output. That is for a replay to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assay.dsse import Envelope, PublicKey, parse_compact, verify_envelope
from assay.errors import VerificationError
from assay.receipt import OUTPUT_NAME, execution_of
from assay.statements import (
    ExecutionPredicate,
    Graph,
    Observed,
    Statement,
    Subject,
    TensorSet,
    parse_statement,
)
from assay.tensors import commitment


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a statement must say, as this side knows it; digests are hex SHA-256.

    A private one holds commitments, which `salts` (of input and output, 32 bytes each) open.
    """

    execution: str
    model: str
    revision: str
    manifest: str
    graph: Graph
    input_digest: str
    output_digest: str
    kind: str
    observed: Observed
    private: bool = False
    salts: tuple[bytes, bytes] | None = None

    def tensor_sets(self) -> tuple[TensorSet, TensorSet]:
        """Return the input and the output as the statement must show them.

        Raises:
            VerificationError: salts are missing, or came though nothing is private.
        """
        if self.private != (self.salts is not None):
            raise VerificationError("salts belong to a private execution, and to no other")
        if self.salts is None:
            return (
                TensorSet(form="digest", sha256=self.input_digest),
                TensorSet(form="digest", sha256=self.output_digest),
            )
        of_input, of_output = self.salts
        return (
            TensorSet(form="commitment", sha256=commitment(of_input, self.input_digest)),
            TensorSet(form="commitment", sha256=commitment(of_output, self.output_digest)),
        )


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
    wanted = _comparable(expected)
    said = {name: getattr(predicate, name) for name in wanted if name != "kind"}
    said["kind"] = predicate.runtime.kind
    if said != wanted:
        raise VerificationError(
            "the statement is about something else", expected=str(wanted), found=str(said)
        )
    if statement.subjects != (Subject(name=OUTPUT_NAME, sha256=predicate.output.sha256),):
        raise VerificationError("the subject is not the output")
    return Signed(envelope=envelope, key=key, statement=statement, predicate=predicate)


def _comparable(expected: Expected) -> dict[str, object]:
    """Return what `expected` means for the fields of a predicate, by their names."""
    of_input, of_output = expected.tensor_sets()
    return {
        "execution": expected.execution,
        "model": expected.model,
        "revision": expected.revision,
        "manifest": expected.manifest,
        "graph": expected.graph,
        "input": of_input,
        "output": of_output,
        "kind": expected.kind,
        "observed": expected.observed,
    }


def _signer(envelope: Envelope, keys: Sequence[PublicKey]) -> PublicKey:
    for key in keys:
        try:
            verify_envelope(envelope, key)
        except VerificationError:
            continue
        return key
    raise VerificationError("the statement is not signed by a registered executor key")
