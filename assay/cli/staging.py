"""Where a model folder grows until it is whole: `.<name>.pull`, beside the folder that it becomes.

    .digits.pull/lock            one `assay pull` at a time
    .digits.pull/parts/<sha256>  what has come of a file
    .digits.pull/tree/<path>     files that are whole

The order of writes. A file comes into `parts`, is hashed while it comes, synced, and renamed into
`tree`; a second file with the same content is copied. When all are there, their folders are synced
and `tree` is renamed to the name of the folder: **the commit point**. Before it there is no such
folder, after it there is the whole one. A crash costs what one read had not written yet: the next
run hashes what lies there and goes on. What a manifest does not list is removed from `tree`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from assay.cli.ahead import in_order
from assay.cli.download import Told, Wanted, download
from assay.cli.files import hash_file, make_folder, sync_folder, write_file
from assay.errors import MisuseError, UnavailableError
from assay.manifest import Manifest

# Says where a file is: by its path and its hex SHA-256.
Where = Callable[[str, str], Wanted]


class Staging:
    """The place in which `folder` grows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._place = folder.parent / f".{folder.name}.pull"
        self._tree = self._place / "tree"
        self._parts = self._place / "parts"

    @contextmanager
    def open(self) -> Iterator[None]:
        """Keep other runs out; what the disk refuses becomes an UnavailableError.

        Raises:
            MisuseError: another run is at it.
        """
        with disk(self._place):
            make_folder(self._tree)
            make_folder(self._parts)
            descriptor = os.open(self._place / "lock", os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                self._lock(descriptor)
                yield
            finally:
                os.close(descriptor)

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise MisuseError(f"another `assay pull` writes {self._folder}") from error

    def fill(self, manifest: Manifest, where: Where, jobs: int, told: Told) -> int:
        """Bring every file of `manifest`, `jobs` at a time; return how many bytes travelled.

        Raises: as `download`.
        """
        paths: dict[str, list[str]] = defaultdict(list)
        for item in manifest.resources:
            paths[item.sha256].append(item.name)
        self._tidy({item.name for item in manifest.resources})

        def bring(pair: tuple[str, list[str]]) -> int:
            sha256, names = pair
            return self._bring(names, where(names[0], sha256), told)

        return sum(in_order(bring, iter(paths.items()), jobs))

    def _tidy(self, names: set[str]) -> None:
        """Remove what no manifest lists; files in the way of folders, and the other way round."""
        for path in sorted(self._tree.rglob("*"), reverse=True):
            name = path.relative_to(self._tree).as_posix()
            if path.is_dir() and not path.is_symlink():
                if not any(path.iterdir()):
                    path.rmdir()
            elif name not in names:
                path.unlink()

    def _bring(self, names: list[str], wanted: Wanted, told: Told) -> int:
        travelled = 0
        first = self._tree / names[0]
        if first.is_file() and hash_file(first) == wanted.sha256:
            told(wanted.size)
        else:
            part = self._parts / wanted.sha256
            travelled = download(wanted, part, told)
            first.parent.mkdir(parents=True, exist_ok=True)
            part.replace(first)
        for name in names[1:]:
            copy = self._tree / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(first, copy)
            _sync_file(copy)
        return travelled

    def commit(self, extra: dict[str, bytes]) -> None:
        """Give the folder its name, with the files `extra` in it; durable when this returns."""
        for name, data in extra.items():
            write_file(self._tree, name, data)
            (self._tree / name).chmod(0o644)
        for path in self._tree.rglob("*"):
            if path.is_dir():
                sync_folder(path)
        sync_folder(self._tree)
        self._tree.replace(self._folder)
        sync_folder(self._folder.parent)
        shutil.rmtree(self._place)


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def disk(place: Path) -> Iterator[None]:
    """Turn what the disk refuses into an UnavailableError that names `place`."""
    try:
        yield
    except OSError as error:
        raise UnavailableError(f"cannot write {place}: {error.strerror}") from error
