"""The digests that the same models give everywhere; `python -m tests.e2e.bits` writes them.

They belong to one portable runtime. A new runtime has digests of its own: write them, and read what
has changed before you commit it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from assay.tensors import Tensor
from inference.executor.runtime import load_runtime
from tests.e2e.bits_models import CASES
from tests.inference.executor.models import Revision
from tests.inference.executor.running import RUNTIME, Running, start_supervisor

FILE = Path(__file__).with_suffix(".json")
LIMIT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the executor answered: the signed digest of the outputs, and the outputs."""

    digest: str
    outputs: Sequence[Tensor]


@contextmanager
def executor() -> Iterator[Running]:
    """Run a portable executor for the length of a block."""
    running = start_supervisor(arguments=["--slots", "1"])
    try:
        yield running
    finally:
        assert running.stop() == 0


def run(running: Running, name: str) -> Given:
    """Run a case in the portable executor, which is Node."""
    graph, inputs = CASES[name]()
    revision = Revision.of(graph)
    request = revision.request(running.log.checkpoint(), *inputs, deadline_s=LIMIT_S)
    with running.client() as client:
        result = client.infer(request, revision.read)
    return Given(digest=result.output_digest, outputs=result.outputs)


@cache
def stored() -> dict[str, dict[str, str]]:
    """Return the digests by the digest of their runtime, then by the name of the case."""
    found: dict[str, dict[str, str]] = json.loads(FILE.read_text("ascii"))
    return found


def runtime() -> str:
    """Return the digest of the present portable runtime."""
    return load_runtime(RUNTIME).digest


def main() -> int:
    """Run every case in Node and write the digests of this runtime beside those of others."""
    before = stored() if FILE.exists() else {}
    with executor() as running:
        before[runtime()] = {name: run(running, name).digest for name in sorted(CASES)}
    FILE.write_text(json.dumps(before, indent=2) + "\n", "ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
