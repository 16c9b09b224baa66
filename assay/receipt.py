"""The receipt of an execution, and the tlog-proof form of a proof of inclusion.

A receipt is the Sigstore bundle of an execution statement. The tlog-proof (C2SP, draft) carries the
same proof and checkpoint for readers that know the entry already.
"""

from __future__ import annotations

from dataclasses import dataclass

from assay.bundle import Bundle, parse_bundle
from assay.canonical import decode_base64, encode_base64, parse_decimal
from assay.checkpoint import parse_checkpoint
from assay.digests import SHA256_BYTES
from assay.errors import FormatError
from assay.limits import LIMITS
from assay.note import parse_note
from assay.statements import ExecutionPredicate, Statement, parse_predicate, parse_statement

TLOG_PROOF_HEADER = "c2sp.org/tlog-proof@v1"
OUTPUT_NAME = "output.tensors"  # the subject of an execution, and the name of its file


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A bundle, the statement in it and the execution that it tells of; nothing is verified."""

    bundle: Bundle
    statement: Statement
    predicate: ExecutionPredicate

    @classmethod
    def parse(cls, data: bytes) -> Receipt:
        """Read a receipt, as `parse_receipt`."""
        return parse_receipt(data)


def parse_receipt(data: bytes) -> Receipt:
    """Read a receipt; `assay.verify.verify_receipt` is what makes it evidence.

    Raises:
        FormatError: not a bundle, not a statement, or not one of an execution.
        VerificationError: a bundle or statement of a kind that is not taken here.
    """
    bundle = parse_bundle(data)
    statement = parse_statement(bundle.envelope.payload)
    return Receipt(bundle=bundle, statement=statement, predicate=execution_of(statement))


def execution_of(statement: Statement) -> ExecutionPredicate:
    """Return the predicate of an execution statement.

    Raises:
        FormatError: a statement of another kind, or a predicate that is not the form.
    """
    predicate = parse_predicate(statement)
    if not isinstance(predicate, ExecutionPredicate):
        raise FormatError("is not an execution", "predicateType")
    return predicate


@dataclass(frozen=True, slots=True, kw_only=True)
class TlogProof:
    """A proof that a leaf is entry `index`; `checkpoint` is the signed note. `extra` is unsigned.

    The hashes are 32 bytes each, the leaf's sibling first.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None


def render_tlog_proof(proof: TlogProof) -> bytes:
    """Return the text of `proof` (C2SP tlog-proof)."""
    lines = [TLOG_PROOF_HEADER]
    if proof.extra is not None:
        lines.append(f"extra {encode_base64(proof.extra)}")
    lines.append(f"index {proof.index}")
    lines.extend(encode_base64(item) for item in proof.hashes)
    return "".join(f"{line}\n" for line in (*lines, "")).encode("utf-8") + proof.checkpoint


def parse_tlog_proof(data: bytes) -> TlogProof:
    """Read a tlog-proof; nothing is verified.

    Raises:
        FormatError: another version, a line out of place, a hash that is not 32 bytes, or a
            checkpoint that is not one.
    """
    if len(data) > LIMITS.note:
        raise FormatError(f"a proof is at most {LIMITS.note} bytes")
    head, separator, checkpoint = data.partition(b"\n\n")
    if not separator:
        raise FormatError("a proof has an empty line before its checkpoint")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise FormatError("a proof's lines are ASCII") from error
    if lines.pop(0) != TLOG_PROOF_HEADER:
        raise FormatError(f"does not start with {TLOG_PROOF_HEADER}")
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = decode_base64(lines.pop(0).removeprefix("extra "), "extra")
    if not lines or not lines[0].startswith("index "):
        raise FormatError("a proof has an index line", "index")
    index = parse_decimal(lines.pop(0).removeprefix("index "), "index")
    if len(lines) > LIMITS.proof_hashes:
        raise FormatError(f"a proof has at most {LIMITS.proof_hashes} hashes")
    hashes = tuple(decode_base64(line, f"hash {i}") for i, line in enumerate(lines))
    if any(len(item) != SHA256_BYTES for item in hashes):
        raise FormatError(f"a hash is {SHA256_BYTES} bytes")
    parse_checkpoint(parse_note(checkpoint).text)
    return TlogProof(index=index, hashes=hashes, checkpoint=checkpoint, extra=extra)
