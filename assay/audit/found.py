"""What an audit keeps: the draw of a round, what came of each execution, what became of statements.

Each is a JSON object, read as strictly as a statement: an audit that was killed goes on from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from assay.canonical import as_list, as_object, as_text
from assay.checkpoint import is_origin
from assay.dsse import Envelope, parse_envelope
from assay.errors import FormatError
from assay.statements.fields import Wire, digest, nullable, one_of, read, size, time

# The first three are verdicts of a replay; no statement says the others.
EXACT, DIVERGED, UNRUNNABLE = "exact", "diverged", "unrunnable"
REFUSED, UNCHECKED = "refused", "unchecked"
OUTCOMES = (EXACT, DIVERGED, UNRUNNABLE, REFUSED, UNCHECKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn(Wire):
    """An execution to be audited: entry `index`, as the log has it.

    `statement` is the hex SHA-256 of its PAE, `signer` the fingerprint of its key, `graph` the hex
    SHA-256 of the graph; `execution`, `model` and `graph` are "" where the entry's predicate cannot
    be read.
    """

    index: int = field(metadata=read(size))
    execution: str = field(metadata=read(as_text))
    model: str = field(metadata=read(as_text))
    graph: str = field(metadata=read(as_text))
    statement: str = field(metadata=read(digest))
    signer: str = field(metadata=read(digest))


def _origin(value: object, path: str) -> str:
    text = as_text(value, path)
    if not is_origin(text):
        raise FormatError("is no origin of a log", path)
    return text


def _drawn(value: object, path: str) -> tuple[Drawn, ...]:
    items = as_list(value, path)
    return tuple(Drawn.from_dict(item, f"{path}[{i}]") for i, item in enumerate(items))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Wire):
    """One round: of the `executions` among the entries `start`…`end`-1, those in `drawn`.

    `checkpoint` is the signed note under which all of them are, `nonce` 32 bytes in hex: with them
    anybody draws again. `sample` is how many were asked for, None for all.
    """

    origin: str = field(metadata=read(_origin))
    checkpoint: str = field(metadata=read(as_text))
    root: str = field(metadata=read(digest))
    nonce: str = field(metadata=read(digest))
    start: int = field(metadata=read(size))
    end: int = field(metadata=read(size))
    sample: int | None = field(metadata=read(nullable(size)))
    executions: int = field(metadata=read(size))
    began_at: str = field(metadata=read(time))
    drawn: tuple[Drawn, ...] = field(metadata=read(_drawn))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        drawn = [item.to_dict() for item in self.drawn]
        return {**Wire.to_dict(self), "drawn": drawn}


def _envelope(value: object, path: str) -> Envelope:
    return parse_envelope(as_object(value, path, required=("payload", "payloadType", "signatures")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Result(Wire):
    """What came of entry `index`: an outcome, and why.

    `claimed` and `found` are the hex values that were compared, "" where there is none. `envelope`
    is the signed replay statement, `key` the fingerprint of who signed it. `evidence` is the folder
    with what proves it, "" for none.
    """

    index: int = field(metadata=read(size))
    outcome: str = field(metadata=read(one_of(*OUTCOMES)))
    reason: str = field(metadata=read(as_text))
    claimed: str = field(metadata=read(as_text), default="")
    found: str = field(metadata=read(as_text), default="")
    first_divergence: str | None = field(metadata=read(nullable(as_text)), default=None)
    basis: str = field(metadata=read(as_text), default="")
    evidence: str = field(metadata=read(as_text), default="")
    key: str = field(metadata=read(as_text), default="")
    envelope: Envelope | None = field(metadata=read(nullable(_envelope)), default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        told = None if self.envelope is None else self.envelope.to_dict()
        return {**Wire.to_dict(self), "envelope": told}


def _flag(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise FormatError("is not true or false", path)
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent(Wire):
    """What the registry said to the statement about entry `index`: taken, or not and why."""

    index: int = field(metadata=read(size))
    taken: bool = field(metadata=read(_flag))
    reason: str = field(metadata=read(as_text))


def record(event: Plan | Result | Sent) -> dict[str, Any]:
    """Return the JSON object of one line of a round's file."""
    return {type(event).__name__.lower(): event.to_dict()}


_KINDS: Sequence[type[Plan | Result | Sent]] = (Plan, Result, Sent)


def parse_record(value: object) -> Plan | Result | Sent:
    """Read one line of a round's file; FormatError otherwise."""
    kinds = {kind.__name__.lower(): kind for kind in _KINDS}
    fields = as_object(value, "", required=(), optional=tuple(kinds))
    if len(fields) != 1:
        raise FormatError("is neither a plan, a result nor an answer")
    ((name, inner),) = fields.items()
    return kinds[name].from_dict(inner, name)
