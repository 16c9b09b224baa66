"""What the tests of publishing share: a folder, a key, and the command as a build runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from assay.cli import app
from assay.cli.keyfile import write_key
from assay.dsse import PublicKey

FILES = {"README.md": b"# Double\n", "model.onnx": b"graph bytes", "sub/labels.txt": b"a\nb\n"}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(item) for item in arguments])


def told(result: Result) -> dict[str, Any]:
    """Return what a command printed with --json."""
    value: dict[str, Any] = json.loads(result.stdout)
    return value


def make_folder(path: Path, files: dict[str, bytes] | None = None) -> Path:
    for name, data in (FILES if files is None else files).items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return path


def make_key(path: Path) -> PublicKey:
    return write_key(path, "")
