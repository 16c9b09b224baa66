# ruff: noqa: INP001 (a script that make runs, in a folder of static files: no package)
"""Copy the pinned browser libraries from NODE_MODULES into `static/vendor/`, checked by digest.

Run as `python static/vendor.py NODE_MODULES`, with the standard library alone. What is copied, from
where and with which SHA-256 stands in `static/vendor/MANIFEST.json`, which is committed; the copies
are not. A file with another digest is never copied: the page and the executor would then run a
program that nobody named. Exit codes: 0 all files are there, 1 one is missing or differs, 2 usage.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

VENDOR = Path(__file__).resolve().parent / "vendor"


class VendorError(Exception):
    """A library file is absent or is not the pinned one."""


def digest(path: Path) -> str | None:
    """Return the SHA-256 of the file in hex, None when there is none."""
    if not path.is_file():
        return None
    return hashlib.sha256(path.read_bytes()).hexdigest()


def copy(source: Path, target: Path, sha256: str) -> bool:
    """Make `target` the pinned file; return whether it had to be written."""
    if digest(target) == sha256:
        return False
    found = digest(source)
    if found is None:
        raise VendorError(f"{source} is missing: run `npm ci` first")
    if found != sha256:
        raise VendorError(f"{source} is not the pinned file: expected {sha256}, found {found}")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Two starts at once must never leave half a file: write beside, then rename.
    beside = target.with_name(f".{target.name}.part")
    beside.write_bytes(source.read_bytes())
    beside.replace(target)
    return True


def vendor(node_modules: Path) -> int:
    """Copy every file of the manifest; return how many had to be written."""
    manifest: dict[str, Any] = json.loads((VENDOR / "MANIFEST.json").read_text(encoding="utf-8"))
    written = 0
    for library in manifest["libraries"]:
        folder = VENDOR / f"{library['name']}-{library['version']}"
        for file in library["files"]:
            source = node_modules / library["name"] / file["source"]
            written += copy(source, folder / file["name"], file["sha256"])
    return written


def main(arguments: list[str]) -> int:
    """Read the command line, copy, say what was done."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python static/vendor.py NODE_MODULES\n")
        return 2
    try:
        written = vendor(Path(arguments[0]))
    except VendorError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"static/vendor: {written} files written, all as pinned\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
