"""A server for the whole folder, and the stock clients: each version in an environment of its own.

`.ci/run` makes the environments from `tests/interop/hf/<version>/requirements.txt` below
`build/interop/hf-<version>`; without one its drives are skipped, and say so.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.conftest import BUILD, PROXY
from tests.interop.hf.server import Server

NEWEST = "2.4.0"
VERSIONS = (NEWEST, "1.19.0", "0.36.2")
DRIVES = Path(__file__).parent / "drives"


@dataclass(slots=True)
class Client:
    """A stock client: its environment, its `HF_HOME`, and how it is told to upload."""

    version: str
    home: Path
    server: Server
    token: str
    xet: bool = True
    endpoint: str = ""

    @property
    def bin(self) -> Path:
        return BUILD / f"hf-{self.version}" / "bin"

    @property
    def environment(self) -> dict[str, str]:
        mine = {
            "HF_ENDPOINT": f"{self.endpoint or self.server.url}/hf",
            "HF_HOME": str(self.home),
            "HOME": str(self.home),
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "NO_PROXY": "127.0.0.1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        if self.token:
            mine["HF_TOKEN"] = self.token
        if not self.xet:
            mine["HF_HUB_DISABLE_XET"] = "1"
        return mine

    def drive(self, name: str, *arguments: str, code: int = 0, timeout_s: float = 300) -> str:
        """Run `drives/<name>.py` with this client's Python; return what it printed."""
        program = [str(self.bin / "python"), str(DRIVES / f"{name}.py"), *arguments]
        return self._run(program, code, timeout_s)

    def cli(self, *arguments: str, code: int = 0, timeout_s: float = 300) -> str:
        """Run `hf`; return what it printed on both streams."""
        return self._run([str(self.bin / "hf"), *arguments], code, timeout_s)

    def _run(self, program: list[str], code: int, timeout_s: float) -> str:
        done = subprocess.run(
            program,
            env=self.environment,
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=timeout_s,
        )
        log = self.server.log.read_text(errors="replace")[-3000:]
        assert done.returncode == code, f"{done.stdout}\n--- server\n{log}"
        return done.stdout


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("hub")
    running = Server(data=folder, name=f"hub_{os.getpid()}")
    running.prepare()
    running.start()
    yield running
    running.stop()


def need(version: str) -> None:
    """Skip, with the reason, when the version is not installed."""
    if not (BUILD / f"hf-{version}" / "bin" / "python").exists():
        pytest.skip(f"no huggingface_hub {version} on this machine: .ci/run installs it")


__all__ = ["NEWEST", "PROXY", "VERSIONS", "Client", "need", "server"]
