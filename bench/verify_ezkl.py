"""Prove one run of a small network with EZKL, in a Python that has it; Assay never imports it.

    PYTHON bench/verify_ezkl.py MODEL INPUT FOLDER

INPUT is JSON in EZKL's form. Prints seconds for the setup (once a model), the witness, the proof
and its check, and the proof's bytes, as JSON. The reference string is made on the spot, which costs
what a real one does and must never be used: nothing is sent, and nothing is fetched.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# The one module of the bench that another environment's Python runs: standard library and EZKL.


def main(model: str, inputs: str, folder: str) -> None:
    """Prove, check, print."""
    import ezkl

    named: dict[str, str] = {
        name: str(Path(folder) / name) for name in ("settings", "circuit", "srs", "vk", "pk")
    }
    witness, proof = (str(Path(folder) / name) for name in ("witness", "proof"))
    took: dict[str, float] = {}

    def timed(name: str, call: Callable[..., Any], *arguments: Any, **more: Any) -> None:
        begun = time.perf_counter()
        done = call(*arguments, **more)
        took[name] = took.get(name, 0.0) + time.perf_counter() - begun
        if done is False:
            raise SystemExit(f"EZKL could not do its {name}")

    settings = named["settings"]
    arguments = ezkl.PyRunArgs()
    arguments.variables = [("n", 1), ("N", 1)]  # one input at a time
    timed("setup", ezkl.gen_settings, model, settings, py_run_args=arguments)
    timed("setup", ezkl.calibrate_settings, inputs, model, settings, "resources")
    timed("setup", ezkl.compile_circuit, model, named["circuit"], settings)
    rows = json.loads(Path(settings).read_text("utf-8"))["run_args"]["logrows"]
    timed("setup", ezkl.gen_srs, named["srs"], rows)
    timed("setup", ezkl.setup, named["circuit"], named["vk"], named["pk"], named["srs"])
    timed("witness", ezkl.gen_witness, inputs, named["circuit"], witness)
    proved = (witness, named["circuit"], named["pk"], proof)
    timed("proof", ezkl.prove, *proved, srs_path=named["srs"])
    timed("check", ezkl.verify, proof, settings, named["vk"], named["srs"])
    print(json.dumps({**took, "bytes": Path(proof).stat().st_size, "logrows": rows}))


if __name__ == "__main__":
    main(*sys.argv[1:])
