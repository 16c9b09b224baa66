"""The verifier stands alone: no server code, and a cheap front door."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import assay
heavy = {"cryptography", "typer", "rich", "urllib.request"} & set(sys.modules)
assert not heavy, heavy
from importlib import import_module
import assay.api
from assay.cli import COMMANDS
for place in COMMANDS.values():
    import_module(place.partition(":")[0])
server = {"django", "celery", "onnx", "numpy", "config", "ledger", "registry", "inference"}
assert not server & set(sys.modules), server & set(sys.modules)
print("alone")
"""


def test_a_fresh_interpreter_loads_the_verifier_and_no_server() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("alone\n", "")


def test_the_command_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "assay.cli", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert all(command in done.stdout for command in ("verify", "replay", "trust", "witness"))
