"""The process in which KServe's client runs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.interop.conftest import BUILD, PROXY

DRIVER = Path(__file__).parent / "driver.py"
PYTHON = BUILD / "kserve" / "bin" / "python"


def is_installed() -> bool:
    """Whether `.ci/run` has made the client's environment."""
    return PYTHON.exists() and any((BUILD / "kserve").glob("lib/*/site-packages/kserve"))


class KServe:
    """KServe's client at work for one server."""

    def __init__(self, address: str) -> None:
        # -I: nothing of this environment reaches that one.
        self._process = subprocess.Popen(
            [PYTHON, "-I", DRIVER, f"http://{address}"],
            env={name: value for name, value in os.environ.items() if name not in PROXY},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, what: str, **fields: Any) -> dict[str, Any]:
        """Do one call; return what the client says."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"ask": what, **fields}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "KServe's client ended"
        found: dict[str, Any] = json.loads(line)
        return found

    def infer(self, model: str, *inputs: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """Run a model; return what the client decoded."""
        found = self.ask("infer", model=model, inputs=list(inputs), **fields)
        assert "error" not in found, found["error"]
        return found

    def refused(self, model: str, *inputs: dict[str, Any], **fields: Any) -> str:
        """Ask for what is refused; return the text that the client shows."""
        found = self.ask("infer", model=model, inputs=list(inputs), **fields)
        assert "error" in found, found
        return str(found["error"])

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()
