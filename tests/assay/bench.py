"""Stand-ins for the outside of a replay: a small runtime, and a program that passes for Node."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from assay.digests import sha256_hex
from assay.replay import Material
from tests.assay import claims

MATERIAL = Material(graph=claims.MODEL.read_bytes(), input=claims.INPUT)


def stored_runtime(folder: Path, **changed: Any) -> Any:
    """A folder with three small files, and the runtime that names them."""
    files = {item.name: item.name.encode() for item in claims.runtime().files}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    resources = tuple(
        replace(item, sha256=sha256_hex(files[item.name])) for item in claims.runtime().files
    )
    return claims.runtime(files=resources, **changed)


def program(folder: Path, name: str, body: str) -> Path:
    """A stand-in for Node: answers --version, then does what `body` says."""
    path = folder / name
    path.write_text(
        f"#!{sys.executable}\nimport sys\n"
        "if sys.argv[1:] == ['--version']:\n    print('v24.1.0'); sys.exit()\n" + body
    )
    path.chmod(0o755)
    return path
