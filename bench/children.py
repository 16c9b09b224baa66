"""The programs that the benchmarks run: always our own command lines, never through a shell."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[1]


def start(
    command: Sequence[str],
    *,
    out: IO[bytes] | int = subprocess.PIPE,
    errors: IO[bytes] | int | None = None,
    reads: bool = False,
    changes: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command` with `changes` to the environment.

    Its output is a pipe unless `out` says where else; so is its input with `reads`.
    """
    return subprocess.Popen(  # noqa: S603 (our own commands)
        command,
        cwd=ROOT,
        env=os.environ | (changes or {}),
        stdin=subprocess.PIPE if reads else None,
        stdout=out,
        stderr=errors,
    )


def output(
    command: Sequence[str],
    *,
    errors: IO[bytes] | int | None = None,
    changes: Mapping[str, str] | None = None,
) -> bytes:
    """Run `command` to its end and return what it printed (with `subprocess.STDOUT`: all of it).

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    with start(command, errors=errors, changes=changes) as process:
        printed, _ = process.communicate()
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command)
    return printed
