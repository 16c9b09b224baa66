"""`probe`: does a model give the same bits each time? Nothing is signed.

The model is loaded in several fresh processes, one after the other, and runs several times in each,
on the same inputs. What runs for callers is not touched. The answer has the output digest of every
run, by process. Outputs that the protocol has no name for are left out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from socket import socket

from assay.statements import Runtime
from assay.tensors import DATATYPES, Tensor, canonical_nan, tensor_digest
from inference.executor.hosts import Host, HostDiedError, ModelBytes, ModelError
from inference.executor.programs import Program
from inference.executor.protocol import Frame, RefusalError
from inference.executor.spawn import Spawner
from inference.executor.values import parse_tensors

PROCESSES, RUNS = 2, 3
MAX_S = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """One request: the model, its inputs, the runtime; `deadline` is on the monotonic clock."""

    model: ModelBytes
    inputs: list[Tensor]
    program: Program
    deadline: float
    caller: socket | None


class Prober:
    """Runs probes, one at a time."""

    def __init__(self, spawner: Spawner) -> None:
        self._spawner = spawner
        self._lock = threading.Lock()

    def answer(
        self,
        request: Frame,
        program: Program,
        runtime: Runtime,
        fetch: Callable[[], ModelBytes],
        caller: socket | None,
    ) -> Frame:
        """Return the digests and the runtime.

        Raises:
            RefusalError: bad_input, busy, deadline, model_failed, load_failed, unavailable.
            CallerGoneError: nobody waits any more.
        """
        seconds = _seconds(request.header.get("deadline_s"))
        inputs = parse_tensors(request.header.get("inputs"), request.tail, "inputs")
        probed = Probed(
            model=fetch(),
            inputs=[canonical_nan(tensor) for tensor in inputs],
            program=program,
            deadline=time.monotonic() + seconds,
            caller=caller,
        )
        if not self._lock.acquire(timeout=min(seconds, 10.0)):
            raise RefusalError("busy", "another model is being probed", retry=True)
        try:
            digests = [self._process(probed) for _ in range(PROCESSES)]
        finally:
            self._lock.release()
        return Frame(
            header={
                "ok": True,
                "runtime": runtime.to_dict(),
                "input_digest": tensor_digest(probed.inputs),
                "digests": digests,
            }
        )

    def _process(self, probed: Probed) -> list[str]:
        """Return the output digest of each run in one fresh process."""
        try:
            host = Host.start(self._spawner, probed.program)
        except (HostDiedError, OSError) as error:
            raise RefusalError(
                "unavailable", "no process for the probe starts", retry=True
            ) from error
        loading = True
        try:
            loaded = host.load(probed.model, probed.deadline, probed.caller)
            loading = False
            names = [value.name for value in loaded.outputs if value.datatype in DATATYPES]
            return [self._run(host, probed, names) for _ in range(RUNS)]
        except HostDiedError as error:
            words = "it does not end in time" if error.late else "it ended its process"
            raise RefusalError("deadline" if error.late else "model_failed", words) from error
        except ModelError as error:
            code = "load_failed" if loading else "model_failed"
            words = error.message or error.code
            raise RefusalError("deadline" if error.code == "deadline" else code, words) from error
        finally:
            host.child.kill()

    @staticmethod
    def _run(host: Host, probed: Probed, names: list[str]) -> str:
        outputs = host.run(probed.model.key, probed.inputs, names, probed.deadline, probed.caller)
        return tensor_digest([canonical_nan(tensor) for tensor in outputs])


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_S:
        raise RefusalError("bad_input", f"a probe has a deadline_s of up to {MAX_S:.0f} seconds")
    return float(value)
