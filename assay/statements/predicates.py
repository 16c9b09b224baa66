"""The predicates of Assay's seven kinds: `urn:assay:<kind>:v1`.

Each class lists its fields in the words of the JSON form (in snake case). Every predicate carries
`observed`, every time is RFC 3339 in UTC with milliseconds, and unknown fields are refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from assay.errors import FormatError
from assay.statements import fields
from assay.statements.fields import Wire, read
from assay.statements.parts import Graph, Observed, Runtime, TensorSet
from assay.statements.statement import Statement, Subject

RELEASE = "urn:assay:release:v1"
CARD = "urn:assay:card:v1"
ALIAS = "urn:assay:alias:v1"
EXECUTION = "urn:assay:execution:v1"
REPLAY = "urn:assay:replay:v1"
KEY = "urn:assay:key:v1"
MODERATION = "urn:assay:moderation:v1"

ROLES = ("publisher", "executor", "auditor", "registry")
KEY_ACTIONS = ("register", "supersede", "revoke")
MODERATION_ACTIONS = ("hide", "restore", "takedown", "suspend", "reinstate")
VERDICTS = ("exact", "close", "diverged", "unrunnable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicate(Wire):
    """What all kinds share: the newest checkpoint that the signer had seen."""

    TYPE: ClassVar[str]

    observed: Observed = field(metadata=read(Observed.from_dict))

    def statement(self, subjects: Iterable[Subject]) -> Statement:
        """Return the statement that says this about `subjects`.

        Raises:
            FormatError: a value that `from_dict` would refuse.
        """
        value = self.to_dict()
        type(self).from_dict(value, "predicate")
        return Statement(subjects=tuple(subjects), predicate_type=self.TYPE, predicate=value)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasePredicate(Predicate):
    """A publisher releases a revision; the subjects are its files, by plain SHA-256."""

    TYPE: ClassVar[str] = RELEASE

    model: str = field(metadata=read(fields.model))
    revision: str = field(metadata=read(fields.revision))
    version: str = field(metadata=read(fields.text))
    manifest: str = field(metadata=read(fields.digest))
    card: str = field(metadata=read(fields.digest))
    license: str = field(metadata=read(fields.text))
    previous: str | None = field(metadata=read(fields.nullable(fields.revision)))


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPredicate(Predicate):
    """A publisher stands by a model card; the subject is README.md."""

    TYPE: ClassVar[str] = CARD

    model: str = field(metadata=read(fields.model))
    revision: str = field(metadata=read(fields.revision))
    manifest: str = field(metadata=read(fields.digest))
    metadata: dict[str, Any] = field(metadata=read(fields.json_object))


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasPredicate(Predicate):
    """A publisher points a name at a revision; the subject is the manifest digest."""

    TYPE: ClassVar[str] = ALIAS

    model: str = field(metadata=read(fields.model))
    alias: str = field(metadata=read(fields.text))
    revision: str = field(metadata=read(fields.revision))
    previous: str | None = field(metadata=read(fields.nullable(fields.revision)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionPredicate(Predicate):
    """An executor ran a graph on an input; the subject is `output.tensors` or its commitment."""

    TYPE: ClassVar[str] = EXECUTION

    execution: str = field(metadata=read(fields.uuid7))
    model: str = field(metadata=read(fields.model))
    revision: str = field(metadata=read(fields.revision))
    manifest: str = field(metadata=read(fields.digest))
    graph: Graph = field(metadata=read(Graph.from_dict))
    input: TensorSet = field(metadata=read(TensorSet.from_dict))
    output: TensorSet = field(metadata=read(TensorSet.from_dict))
    runtime: Runtime = field(metadata=read(Runtime.from_dict))
    started_on: str = field(metadata=read(fields.time))
    finished_on: str = field(metadata=read(fields.time))
    trace: str | None = field(metadata=read(fields.nullable(fields.digest)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayPredicate(Predicate):
    """An auditor ran an execution again; the subject is the replayed `output.tensors`.

    `statement_sha256` (in JSON `statement`) is the hex SHA-256 of the replayed statement's PAE.
    `output` is null where the replay gave none (`unrunnable`); the subject is then the claimed
    output.
    """

    TYPE: ClassVar[str] = REPLAY

    execution: str = field(metadata=read(fields.uuid7))
    statement_sha256: str = field(metadata=read(fields.digest, name="statement"))
    verdict: str = field(metadata=read(fields.one_of(*VERDICTS)))
    runtime: Runtime = field(metadata=read(Runtime.from_dict))
    output: TensorSet | None = field(metadata=read(fields.nullable(TensorSet.from_dict)))
    first_divergence: str | None = field(metadata=read(fields.nullable(fields.text)))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPredicate(Predicate):
    """A key is registered, superseded or revoked; the subject is its SPKI DER."""

    TYPE: ClassVar[str] = KEY

    action: str = field(metadata=read(fields.one_of(*KEY_ACTIONS)))
    owner: str = field(metadata=read(fields.text))
    role: str = field(metadata=read(fields.one_of(*ROLES)))
    public_key: str = field(metadata=read(fields.text))
    previous: str | None = field(metadata=read(fields.nullable(fields.digest)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ModerationPredicate(Predicate):
    """The registry acted on something; the subject is that thing, `reason` the public text."""

    TYPE: ClassVar[str] = MODERATION

    action: str = field(metadata=read(fields.one_of(*MODERATION_ACTIONS)))
    category: str = field(metadata=read(fields.text))
    reason: str = field(metadata=read(fields.text))


_KINDS: dict[str, type[Predicate]] = {
    kind.TYPE: kind
    for kind in (
        ReleasePredicate,
        CardPredicate,
        AliasPredicate,
        ExecutionPredicate,
        ReplayPredicate,
        KeyPredicate,
        ModerationPredicate,
    )
}


def parse_predicate(statement: Statement) -> Predicate:
    """Return the typed predicate of `statement`.

    Raises:
        FormatError: a predicate type that is none of Assay's, or a predicate that is not its form.
    """
    kind = _KINDS.get(statement.predicate_type)
    if kind is None:
        raise FormatError(f"{statement.predicate_type!r} is not a kind of Assay", "predicateType")
    return kind.from_dict(statement.predicate, "predicate")
