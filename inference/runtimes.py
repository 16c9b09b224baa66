"""The portable runtimes of this installation, by the digest of their files.

The one that new executions use is `settings.PORTABLE_RUNTIME`. Every one that was ever in use is
kept under `settings.RUNTIMES_KEPT/<digest>/`, so that what a receipt names can be run again after
an upgrade, which is a new runtime and never another meaning of an old one.

Order of writes of `add`: the files go into a temporary folder beside the place, each fsynced; the
folder is renamed to the digest and its parent fsynced. **The rename is the commit point.** A crash
before it leaves a folder that nobody names and that the next `add` replaces. Files are hashed again
when they have changed, and before each start of a model process, so a damaged one is refused and
never run under its old name.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from django.conf import settings

from assay.errors import UnavailableError
from assay.statements import Runtime
from inference.executor.runtime import FILES, load_runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A runtime and the folder of its files."""

    runtime: Runtime
    folder: Path


def current() -> Installed:
    """Return the runtime of new executions.

    Raises:
        UnavailableError: its files are not there.
    """
    folder = Path(settings.PORTABLE_RUNTIME)
    return Installed(runtime=_hashed(folder, _stamp(folder)), folder=folder)


def installed() -> list[Installed]:
    """Return the current runtime, then those that are kept; what is damaged is left out.

    Raises:
        UnavailableError: the current one is not there.
    """
    first = current()
    found = [first]
    kept = Path(settings.RUNTIMES_KEPT)
    for folder in sorted(kept.iterdir()) if kept.is_dir() else ():
        one = _kept(folder)
        if one is not None and one.runtime.digest != first.runtime.digest:
            found.append(one)
    return found


def find(digest: str) -> Installed | None:
    """Return the runtime with this digest (hex), None when it is not here."""
    return next((one for one in installed() if one.runtime.digest == digest), None)


def add(source: Path) -> Installed:
    """Keep the runtime whose three files are in `source`; harmless when it is kept already.

    Raises:
        UnavailableError: `source` holds no runtime.
        OSError: it cannot be written.
    """
    runtime = load_runtime(source)
    target = Path(settings.RUNTIMES_KEPT) / runtime.digest
    if _kept(target) is None:
        _copy(source, [item.name for item in runtime.files], target)
    kept = _kept(target)
    if kept is None:
        raise UnavailableError(f"the files in {source} changed while they were copied")
    return kept


def _kept(folder: Path) -> Installed | None:
    """Return the runtime in `folder` when its files hash to the folder's name."""
    try:
        runtime = _hashed(folder, _stamp(folder))
    except UnavailableError:
        return None
    return Installed(runtime=runtime, folder=folder) if runtime.digest == folder.name else None


def _copy(source: Path, names: list[str], target: Path) -> None:
    draft = target.with_name(f".{target.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name in names:
        with (draft / name).open("wb") as file:
            file.write((source / name).read_bytes())
            file.flush()
            os.fsync(file.fileno())
    _sync(draft)
    shutil.rmtree(target, ignore_errors=True)  # a damaged one
    draft.rename(target)
    _sync(target.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _stamp(folder: Path) -> tuple[tuple[int, int], ...]:
    """Return what changes when a file of the runtime does: its times and sizes."""
    try:
        found = [(folder / name).stat() for name in FILES]
    except OSError:
        return ()
    return tuple((one.st_mtime_ns, one.st_size) for one in found)


@lru_cache(maxsize=32)
def _hashed(folder: Path, stamp: tuple[tuple[int, int], ...]) -> Runtime:
    """Hash 14 MB once for each state of the files."""
    return load_runtime(folder)
