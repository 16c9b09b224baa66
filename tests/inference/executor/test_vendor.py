"""The browser libraries: copied by digest, or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from assay.digests import sha256_hex
from inference.executor.runtime import FILES
from tests.inference.executor.running import ROOT

SCRIPT = ROOT / "static" / "vendor.py"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the script with one library of one file."""
    source = tmp_path / "node_modules" / "lib" / "dist" / "a.js"
    source.parent.mkdir(parents=True)
    source.write_bytes(b"one")
    (tmp_path / "static" / "vendor").mkdir(parents=True)
    (tmp_path / "static" / "vendor.py").write_bytes(SCRIPT.read_bytes())
    file = {"name": "a.js", "source": "dist/a.js", "sha256": sha256_hex(b"one")}
    library = {"name": "lib", "version": "1", "licence": "MIT", "files": [file]}
    manifest = tmp_path / "static" / "vendor" / "MANIFEST.json"
    manifest.write_text(json.dumps({"libraries": [library]}))
    return tmp_path


def run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(tree / "static" / "vendor.py"), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)


def test_a_pinned_file_is_copied_once(tree: Path) -> None:
    assert "1 files written" in run(tree, str(tree / "node_modules")).stdout
    assert (tree / "static/vendor/lib-1/a.js").read_bytes() == b"one"
    assert "0 files written" in run(tree, str(tree / "node_modules")).stdout


def test_another_file_is_not_copied(tree: Path) -> None:
    (tree / "node_modules/lib/dist/a.js").write_bytes(b"two")
    ended = run(tree, str(tree / "node_modules"))
    assert ended.returncode == 1
    assert "is not the pinned file" in ended.stderr
    assert not (tree / "static/vendor/lib-1/a.js").exists()


def test_a_copy_that_was_changed_is_put_right(tree: Path) -> None:
    run(tree, str(tree / "node_modules"))
    (tree / "static/vendor/lib-1/a.js").write_bytes(b"changed")
    assert run(tree, str(tree / "node_modules")).returncode == 0
    assert (tree / "static/vendor/lib-1/a.js").read_bytes() == b"one"


def test_a_missing_library_is_named(tree: Path) -> None:
    (tree / "node_modules/lib/dist/a.js").unlink()
    ended = run(tree, str(tree / "node_modules"))
    assert (ended.returncode, "npm ci" in ended.stderr) == (1, True)


def test_usage(tree: Path) -> None:
    assert run(tree).returncode == 2


def test_the_lock_names_no_host_and_pins_what_is_copied() -> None:
    text = (ROOT / "package-lock.json").read_text()
    assert "http" not in text
    packages = json.loads(text)["packages"]
    manifest = json.loads((ROOT / "static/vendor/MANIFEST.json").read_text())
    for library in manifest["libraries"]:
        assert packages[f"node_modules/{library['name']}"]["version"] == library["version"]
    runtime = next(item for item in manifest["libraries"] if item["name"] == "onnxruntime-web")
    assert sorted(file["name"] for file in runtime["files"]) == sorted(FILES)
