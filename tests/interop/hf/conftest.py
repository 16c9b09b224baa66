"""A server for the whole folder, and the stock clients: each version in an environment of its own.

`.ci/run` makes the environments from `tests/interop/hf/<version>/requirements.txt` below
`build/interop/hf-<version>`; without one its drives are skipped, and say so.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.conftest import BUILD
from tests.interop.hf.server import Server

NEWEST = "2.4.0"
VERSIONS = (NEWEST, "1.19.0", "0.36.2")
OLDEST = VERSIONS[-1]
MB = 2**20
# P: the newest client as it is (Xet); L: the same by LFS; O: the older ones.
MODES = [(NEWEST, True), (NEWEST, False), *((version, True) for version in VERSIONS[1:])]
every_mode = pytest.mark.parametrize(
    ("version", "xet"), MODES, ids=["P", "L", *(f"O-{version}" for version in VERSIONS[1:])]
)
every_version = pytest.mark.parametrize("version", VERSIONS)
both_ways = pytest.mark.parametrize("xet", [True, False], ids=["P", "L"])
stock = [pytest.mark.stock, pytest.mark.xdist_group("hub")]
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
    patience_s: int = 0

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
        if self.patience_s:
            mine["HF_HUB_DOWNLOAD_TIMEOUT"] = str(self.patience_s)
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


Make = Callable[..., Client]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Known when this folder is named on the command line."""
    parser.addoption("--gigabyte", action="store_true", help="upload 1 GB by Xet as well")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("hub")
    running = Server(data=folder, name=f"hub_{os.getpid()}")
    running.prepare()
    running.start()
    yield running
    running.close()


@pytest.fixture
def make(server: Server, tmp_path: Path) -> Make:
    """Return a maker of clients, each with a home of its own."""
    made: list[Client] = []

    def fresh(
        version: str = NEWEST, user: str = "alice", *, xet: bool = True, scope: str = "admin"
    ) -> Client:
        need(version)
        home = tmp_path / f"home{len(made)}"
        home.mkdir()
        token = server.token(user, scope) if user else ""
        client = Client(version=version, home=home, server=server, token=token, xet=xet)
        made.append(client)
        return client

    return fresh


def need(version: str) -> None:
    """Skip, with the reason, when the version is not installed."""
    if not (BUILD / f"hf-{version}" / "bin" / "hf").exists():
        pytest.skip(f"no huggingface_hub {version} on this machine: .ci/run installs it")


def mode(version: str, xet: bool) -> str:
    return f"{version}-{'xet' if xet else 'lfs'}"
