"""onnxruntime for a replay: the executor's jailed child program, in a process of the auditor's."""

from __future__ import annotations

import time

from assay.digests import sha256_hex
from assay.errors import UnavailableError
from assay.replay import Job
from assay.tensors import Tensor
from inference.executor.hosts import Host, HostDiedError, ModelBytes, ModelError
from inference.executor.programs import Native, Program
from inference.executor.spawn import Spawner


class NativeRunner:
    """Runs a job in a fresh jailed process, which ends with it."""

    def __init__(self, *, timeout_s: float, program: Program | None = None) -> None:
        self._timeout_s = timeout_s
        self._program = program or Native()

    def run(self, job: Job) -> list[Tensor]:
        """Return every output of the graph; UnavailableError when it could not be run."""
        spawner = Spawner()
        try:
            return self._run(job, spawner)
        except (HostDiedError, OSError) as error:
            raise UnavailableError(f"the process that ran it ended: {error}") from error
        except ModelError as error:
            words = error.message or error.code
            raise UnavailableError(f"the runtime refused the model: {words}") from error
        finally:
            spawner.close()

    def _run(self, job: Job, spawner: Spawner) -> list[Tensor]:
        deadline = time.monotonic() + self._timeout_s
        model = ModelBytes(
            key=sha256_hex(job.graph), graph=job.graph, external=tuple(job.external.items())
        )
        host = Host.start(spawner, self._program)
        try:
            loaded = host.load(model, deadline)
            names = [value.name for value in loaded.outputs]
            return host.run(model.key, list(job.inputs), names, deadline)
        finally:
            host.child.kill()
