"""The replay itself: check what goes in, run it, compare what comes out."""

from __future__ import annotations

from dataclasses import dataclass

from assay.digests import sha256_hex
from assay.errors import MisuseError, UnavailableError, VerificationError
from assay.replay.compare import Difference, differences
from assay.replay.job import Job, Material, Runner
from assay.statements import ExecutionPredicate, TensorSet
from assay.tensors import Tensor, commitment, decode_tensors, encode_tensors

EXACT, DIVERGED, UNRUNNABLE = "exact", "diverged", "unrunnable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A verdict and why.

    `claimed` and `found` are the two values that were compared, in hex (digests, or commitments
    for a private execution); `output` is the replayed output.tensors. The differences are known
    only where the claimed output is at hand.
    """

    verdict: str
    reason: str
    claimed: str
    found: str = ""
    output: bytes | None = None
    differences: tuple[Difference, ...] = ()


def replay(
    predicate: ExecutionPredicate,
    material: Material,
    runner: Runner,
    *,
    claimed_output: bytes | None = None,
    input_salt: bytes | None = None,
    output_salt: bytes | None = None,
) -> Replay:
    """Run the execution again and compare its output.

    `claimed_output` is the `output.tensors` of the receipt, where the reader has it: it tells what
    differs, and which outputs were asked for. The salts open the commitments of a private
    execution.

    Raises:
        MisuseError: a private execution without its salt.
        FormatError: the input is not `assay-tensors-v1`.
        VerificationError: graph, input or claimed output are not those of the receipt.
    """
    claimed = predicate.output.sha256
    _check("graph", predicate.graph.sha256, sha256_hex(material.graph))
    _check("input", predicate.input.sha256, set_value(predicate.input, material.input, input_salt))
    wanted = None
    if claimed_output is not None:
        _check("output", claimed, set_value(predicate.output, claimed_output, output_salt))
        wanted = decode_tensors(claimed_output)
    job = Job(
        runtime=predicate.runtime,
        graph=material.graph,
        external=material.external,
        inputs=decode_tensors(material.input),
    )
    try:
        tensors = _chosen(runner.run(job), wanted)
    except UnavailableError as error:
        return Replay(verdict=UNRUNNABLE, reason=str(error), claimed=claimed)
    output = encode_tensors(tensors)
    found = set_value(predicate.output, output, output_salt)
    if found == claimed:
        reason = "the replayed output has the same bits"
        return Replay(verdict=EXACT, reason=reason, claimed=claimed, found=found, output=output)
    return Replay(
        verdict=DIVERGED,
        reason="the replayed output has other bits",
        claimed=claimed,
        found=found,
        output=output,
        differences=tuple(differences(wanted, decode_tensors(output))) if wanted else (),
    )


def set_value(claimed: TensorSet, tensors: bytes, salt: bytes | None) -> str:
    """Return the hex value that `tensors` have in the form of `claimed`.

    Raises:
        MisuseError: a commitment, and no salt.
    """
    digest = sha256_hex(tensors)
    if claimed.form == "digest":
        return digest
    if salt is None:
        raise MisuseError("a private execution: its salt is needed")
    return commitment(salt, digest)


def _chosen(tensors: list[Tensor], wanted: list[Tensor] | None) -> list[Tensor]:
    """Keep the outputs that the execution was asked for, if that is known and possible."""
    names = {tensor.name for tensor in wanted or ()}
    chosen = [tensor for tensor in tensors if tensor.name in names]
    return chosen if names and len(chosen) == len(names) else tensors


def _check(what: str, expected: str, found: str) -> None:
    if expected != found:
        raise VerificationError(
            f"this is not the {what} of the receipt", expected=expected, found=found
        )
