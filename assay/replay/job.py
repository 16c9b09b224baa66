"""What a replay needs, and who runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from assay.statements import Runtime
from assay.tensors import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The bytes of an execution: the graph, its external data by location, and input.tensors."""

    graph: bytes
    input: bytes
    external: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run: graph, external data by the location the graph names, inputs, runtime options.

    `tensors_only`: outputs that are sequences, or have a datatype without a name, are left out.
    """

    runtime: Runtime
    graph: bytes
    external: Mapping[str, bytes]
    inputs: Sequence[Tensor]
    tensors_only: bool = False


class Fetch(Protocol):
    """Something that gets bytes by URL, as `assay.fetch.fetch` does."""

    def __call__(self, url: str, *, limit: int, timeout_s: float) -> bytes:
        """Return the body, at most `limit` bytes, within `timeout_s` seconds.

        Raises `UnavailableError` when it cannot be had.
        """


class Runner(Protocol):
    """Something that runs a graph under exactly the runtime of the job."""

    def run(self, job: Job) -> list[Tensor]:
        """Return every output of the graph.

        Raises `UnavailableError` when the job could not be run to its end.
        """
