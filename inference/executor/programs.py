"""What a model process executes, one class for each kind: its command, its jail, its identity.

`portable` runs in Node and holds several models, each in a thread of its own. `native` runs in
Python and holds one: a model that got hold of its process finds no other there.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import assay
from assay.statements import Runtime
from inference.executor.limits import NATIVE_MEMORY
from inference.executor.runtime import load_native, load_runtime
from inference.executor.spawn import Jail

SCRIPT = Path(__file__).parent / "portable" / "host.mjs"
TENSORS = Path(assay.__file__).parent / "replay" / "tensors.mjs"  # the host imports it
_SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache")
_DEVICES = ("/dev/null", "/dev/urandom")


class Program(Protocol):
    """How to start a model process. `shared`: it may hold several models at a time."""

    @property
    def shared(self) -> bool:
        """Whether several models may share a process."""

    def command(self) -> list[str]:
        """Return the command line."""

    def jail(self, cpu_s: int | None = None) -> Jail:
        """Return its jail: what it may read and use."""

    def runtime(self) -> Runtime:
        """Hash the files that it runs; `UnavailableError` when they are not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Portable:
    """Node, the host script, and the folder of the WebAssembly runtime."""

    node: Path
    folder: Path
    script: Path = SCRIPT

    @property
    def shared(self) -> bool:
        """Threads keep models apart."""
        return True

    def command(self) -> list[str]:
        """Return the command line."""
        return [
            str(self.node),
            "--permission",
            f"--allow-fs-read={self.folder}/*",
            f"--allow-fs-read={self.script.parent}/*",
            f"--allow-fs-read={TENSORS}",
            "--allow-worker",
            "--disable-warning=SecurityWarning",
            str(self.script),
            str(self.folder),
        ]

    def jail(self, cpu_s: int | None = None) -> Jail:
        """Return its jail: it reads its program, the runtime and the system's libraries."""
        own = (self.node, self.script.parent, TENSORS, self.folder)
        return Jail(cpu_s=cpu_s, readable=(*own, *map(Path, (*_SYSTEM, *_DEVICES))))

    def runtime(self) -> Runtime:
        """Hash the three files of the runtime."""
        return load_runtime(self.folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Native:
    """This Python and its onnxruntime. After its imports the process gives up every file."""

    @property
    def shared(self) -> bool:
        """One process, one model."""
        return False

    def command(self) -> list[str]:
        """Return the command line."""
        return [sys.executable, "-m", "inference.executor.native"]

    def jail(self, cpu_s: int | None = None) -> Jail:
        """Return its jail: a cap on its address space. What it may read ends after its imports."""
        return Jail(cpu_s=cpu_s, memory=NATIVE_MEMORY)

    def runtime(self) -> Runtime:
        """Hash onnxruntime's shared libraries, and name this processor's instruction sets."""
        return load_native()
