"""Probes over the executor's socket: one model, one input, several runs. No Django."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from assay.canonical import as_list
from assay.digests import parse_hex
from assay.errors import FormatError
from assay.statements import Runtime
from assay.tensors import Tensor
from inference.client import ExecutorClient, ExecutorUnavailableError, ModelRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What came of it: for each process the output digest of each run, in hex."""

    runtime: Runtime
    input_digest: str
    digests: tuple[tuple[str, ...], ...]


def probe(
    client: ExecutorClient,
    target: ModelRef,
    inputs: Sequence[Tensor],
    read_blob: Callable[[str], bytes],
    *,
    kind: str,
    deadline_s: float,
) -> Probe:
    """Run a model several times, in fresh processes, within `deadline_s` seconds in all.

    Raises:
        ExecutorError: the executor's refusal.
        ExecutorUnavailableError: no answer, or one that makes no sense.
    """
    header = {
        "op": "probe",
        **target.header(),
        "inputs": [{**item.header(), "size": len(item.data)} for item in inputs],
        "deadline_s": deadline_s,
        "kind": kind,
    }
    answer = client.trace(header, [item.data for item in inputs], read_blob).header
    try:
        return Probe(
            runtime=Runtime.from_dict(answer["runtime"], "runtime"),
            input_digest=parse_hex(answer["input_digest"], "input_digest").hex(),
            digests=tuple(_digests(item) for item in as_list(answer["digests"], "digests")),
        )
    except (FormatError, KeyError) as error:
        raise ExecutorUnavailableError(f"the executor's probe makes no sense: {error}") from error


def _digests(value: Any) -> tuple[str, ...]:
    return tuple(parse_hex(item, "digests").hex() for item in as_list(value, "digests"))
