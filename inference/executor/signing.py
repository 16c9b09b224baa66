"""What the executor signs: executions, and the registration of its own key.

The supervisor hashed both tensor sets itself. A statement names the newest checkpoint that the web
process showed, and that checkpoint is verified first: the statement is then not older than it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ec

from assay.checkpoint import parse_checkpoint
from assay.digests import sha256_hex
from assay.dsse import PublicKey, compact, public_key_of, sign
from assay.errors import FormatError, VerificationError
from assay.note import VKey, open_note
from assay.receipt import OUTPUT_NAME
from assay.statements import (
    ExecutionPredicate,
    Graph,
    KeyPredicate,
    Observed,
    Runtime,
    Subject,
    TensorSet,
    render,
    timestamp,
)
from assay.tensors import SALT_BYTES, commitment
from inference.executor.pool import Ran
from inference.executor.protocol import RefusalError


@dataclass(frozen=True, slots=True, kw_only=True)
class Subjects:
    """What an execution is about, as the web process named it; `manifest` is a digest."""

    execution: str
    model: str
    revision: str
    manifest: str
    graph: Graph


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """The digests of the two tensor sets, with salts where the execution is private."""

    input: str
    output: str
    input_salt: bytes | None = None
    output_salt: bytes | None = None

    @classmethod
    def draw(cls, input_digest: str, output_digest: str, *, private: bool) -> Digests:
        """Return the digests, with fresh salts when `private`."""
        salts = [secrets.token_bytes(SALT_BYTES) if private else None for _ in range(2)]
        return cls(
            input=input_digest,
            output=output_digest,
            input_salt=salts[0],
            output_salt=salts[1],
        )


class Signer:
    """The key, and the log whose checkpoints it believes."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, *, origin: str, log: VKey) -> None:
        self._key = key
        self._origin = origin
        self._log = log
        self.public: PublicKey = public_key_of(key.public_key())
        self._observe = lru_cache(maxsize=4)(self._verify)

    def observe(self, note: object) -> Observed:
        """Return what the checkpoint `note` shows, after checking the log's signature.

        Raises:
            RefusalError: bad_input: not a checkpoint of the log that was named at start.
        """
        if not isinstance(note, str):
            raise RefusalError("bad_input", "the request has no checkpoint")
        try:
            return self._observe(note)
        except (FormatError, VerificationError) as error:
            raise RefusalError("bad_input", f"the checkpoint is not the log's: {error}") from error

    def _verify(self, note: str) -> Observed:
        opened = open_note(note.encode("utf-8", "replace"), [self._log])
        checkpoint = parse_checkpoint(opened.text)
        if checkpoint.origin != self._origin:
            raise VerificationError(
                "another log", expected=self._origin, found=checkpoint.origin[:64]
            )
        return Observed(
            origin=checkpoint.origin, tree_size=checkpoint.size, root_hash=checkpoint.root.hex()
        )

    def execution(
        self, subjects: Subjects, digests: Digests, ran: Ran, runtime: Runtime, observed: Observed
    ) -> str:
        """Return the signed statement of one execution, in compact form.

        Raises:
            FormatError: an id, a model or a revision that a statement cannot carry.
        """
        output = _tensor_set(digests.output, digests.output_salt)
        predicate = ExecutionPredicate(
            execution=subjects.execution,
            model=subjects.model,
            revision=subjects.revision,
            manifest=subjects.manifest,
            graph=subjects.graph,
            input=_tensor_set(digests.input, digests.input_salt),
            output=output,
            runtime=runtime,
            started_on=_time(ran.started),
            finished_on=_time(ran.finished),
            trace=None,
            observed=observed,
        )
        subject = Subject(name=OUTPUT_NAME, sha256=output.sha256)
        return compact(sign(render(predicate.statement([subject])), self._key))

    def register(self, owner: str, observed: Observed) -> str:
        """Return the statement that registers this key for `owner`, in compact form.

        Raises:
            FormatError: an owner that a statement cannot carry.
        """
        predicate = KeyPredicate(
            action="register",
            owner=owner,
            role="executor",
            public_key=self.public.pem,
            previous=None,
            observed=observed,
        )
        subject = Subject(name="", sha256=sha256_hex(self.public.spki))
        return compact(sign(render(predicate.statement([subject])), self._key))


def _tensor_set(digest: str, salt: bytes | None) -> TensorSet:
    if salt is None:
        return TensorSet(form="digest", sha256=digest)
    return TensorSet(form="commitment", sha256=commitment(salt, digest))


def _time(seconds: float) -> str:
    return timestamp(datetime.fromtimestamp(seconds, UTC))


def pairs_of(resources: Sequence[object]) -> tuple[tuple[str, str], ...]:
    """Read `[[name, sha256], …]`.

    Raises:
        RefusalError: bad_input: not that.
    """
    pairs = []
    for item in resources:
        match item:
            case [str(name), str(sha256)]:
                pairs.append((name, sha256))
            case _:
                raise RefusalError("bad_input", "resources are pairs of a name and a SHA-256")
    return tuple(pairs)
