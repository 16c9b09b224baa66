"""Somebody who mirrors a log: a source that can be bent, a folder, and what is in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from assay.cli import app
from assay.cli.known import task_for
from assay.cli.mirror_copy import Copied, Copier
from assay.cli.mirror_files import Disk, MirrorFiles
from assay.cli.source import FolderSource, Source
from assay.cli.trust import Named
from assay.dsse import rekor_body, sign
from assay.logdata import StoredEnvelope
from tests.assay.logbook import BOB, Logbook, pages, public
from tests.assay.stand import Stand, stand
from tests.assay.views import LOG, ORIGIN

OWN = {".lock", ".new", ".target"}


@dataclass
class Mirror:
    """A mirror of the log that `place` serves, in `folder`; it trusts the log's key."""

    place: Stand
    folder: Path
    trust: tuple[str, ...] = ("--log", str(LOG))

    @property
    def evidence(self) -> list[Path]:
        kept = self.folder.parent / "config" / "assay" / ORIGIN / "monitor" / "evidence"
        return sorted(kept.iterdir()) if kept.exists() else []

    def shows(self, book: Logbook, *sizes: int) -> None:
        """Serve the log as it stands in `book`; it published checkpoints of `sizes` before."""
        self.place.pages = {**pages(book.files(*sizes))}
        self.place.asked.clear()

    def arguments(self, *more: object) -> list[str]:
        base = ("mirror", self.place.url, self.folder, "--retries", 0, *self.trust)
        return [str(item) for item in (*base, *more)]

    def copy(self, *more: object) -> Result:
        return CliRunner().invoke(app, self.arguments(*more))

    def told(self, *more: object) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.copy("--json", *more).stdout.splitlines()]

    def check(self, *more: object) -> Result:
        arguments = ("fsck", self.folder, "--log", LOG, *more)
        return CliRunner().invoke(app, [str(item) for item in arguments])

    def size(self) -> int:
        return size_of(self.folder)

    def files(self) -> dict[str, bytes]:
        return files_of(self.folder)


def size_of(folder: Path) -> int:
    """The size of the tree that a copy publishes, -1 for none."""
    path = folder / "checkpoint"
    return int(path.read_text().splitlines()[1]) if path.exists() else -1


def files_of(folder: Path) -> dict[str, bytes]:
    """What a web server hands out of a copy, without what the mirror keeps for itself."""
    names = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    return {
        name.as_posix(): (folder / name).read_bytes()
        for name in names
        if name.parts[0] not in (*OWN, ".well-known")
    }


@contextmanager
def mirroring(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """A mirror that has copied nothing yet, of a server that serves nothing yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    monkeypatch.delenv("ASSAY_TRUST", raising=False)
    with stand({}) as place:
        yield Mirror(place, folder / "copy")


def copy_of(log: Path | Source, folder: Path, disk: Disk | None = None) -> Copied:
    """Copy a log, in this process and in one order, with `disk` under the copy."""
    task = task_for("", ORIGIN, str(LOG), Named())
    folder.mkdir(exist_ok=True)
    source = FolderSource(log) if isinstance(log, Path) else log
    with MirrorFiles(folder, disk) as files, source:
        files.sweep()
        copier = Copier(
            task,
            files,
            pins={".well-known/assay/keys.json": b'{"keys":[]}'},
            jobs=1,
            quiet=True,
            require_quorum=False,
            stopped=lambda: False,
        )
        return copier.copy(source)


def signed_again(book: Logbook, index: int) -> tuple[str, StoredEnvelope]:
    """Let bob sign, and log, the payload of entry `index`; return the path and its envelope."""
    digest = list(book.envelopes)[index]
    first = book.envelopes[digest]
    second = sign(first.payload, BOB)
    book.bodies.append(rekor_body(second.pae_sha256, second.signature, public(BOB).spki))
    both = (first.signature, second.signature)
    return f"envelopes/{digest}", StoredEnvelope(payload=first.payload, signatures=both)
