"""`assay mirror`: a complete copy of a log in a folder, that any web server can hand out.

What a round does is in `mirror_copy`, what lasts in `mirror_files`. Here: the options, the pauses,
and the exit code. The folder is what a log serves under `/log/`, and beside it, under
`.well-known/assay/`, the pins of whoever made the copy, as a registry publishes its own.

A log that lies is not copied: the folder stays as it is, the evidence is kept, following ends.
Silence is asked again, and so is an absence or a rollback, since a cache may lag for a moment.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

import typer

from assay.cli.files import make_folder, read_file
from assay.cli.fsck_folder import KEYS, LOCK, PINS, POLICY, ROOT, TARGET
from assay.cli.known import LogOption, OriginOption, origin_at, origin_named, task_for
from assay.cli.mirror_copy import Copied, Copier, StoppedError
from assay.cli.mirror_files import DamagedCopyError, LostCopyError, MirrorFiles, locked
from assay.cli.output import REFUSED, UNCHECKED, VERIFIED, Output, exit_codes
from assay.cli.pins import KEYS as PINNED_KEYS, POLICY as PINNED_POLICY, ROOT as PINNED_ROOT
from assay.cli.rounds import RollbackError, Task, has_quorum
from assay.cli.settings import monitor_folder, trust_folder
from assay.cli.source import CHECKPOINT, open_source
from assay.cli.telling import Voice
from assay.cli.trust import Named, origin_of
from assay.cli.verify import PolicyOption, RootOption
from assay.errors import (
    FormatError,
    MissingError,
    MisuseError,
    UnavailableError,
    VerificationError,
)
from assay.limits import LIMITS
from assay.told import until_told


def mirror(
    url: Annotated[str, typer.Argument(help="The log: an http(s) URL, or the folder of a copy.")],
    folder: Annotated[Path, typer.Argument(help="Where the copy is; made when absent.")],
    *,
    log: LogOption = "",
    origin: OriginOption = "",
    trusted_root: RootOption = None,
    policy: PolicyOption = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Downloads at one time.")] = 8,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until told to end.")] = False,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two rounds.")] = 60.0,
    retries: Annotated[
        int, typer.Option(min=0, max=10, help="How often to ask again, after 1, 2, 4, … seconds.")
    ] = 3,
    require_quorum: Annotated[
        bool, typer.Option("--require-quorum", help="Copy no tree without the policy's quorum.")
    ] = False,
    evidence: Annotated[
        Path | None, typer.Option(help="Folder for evidence; default: the monitor's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
) -> None:
    """Copy a log. Exit code: 0 copied, 1 the log lied, 2 usage, 3 could not copy."""
    output = Output(as_json=as_json)
    with exit_codes(output), until_told() as stop:
        named = Named(trusted_root=trusted_root, policy=policy)
        task = task_for(url, origin_named(origin, log) or _origin_of(url), log, named)
        pins = {} if log else _pins(task.origin, named)
        _prepare(folder)
        with locked(folder), MirrorFiles(folder) as files:
            files.sweep()
            copier = Copier(
                task,
                files,
                pins=pins,
                jobs=jobs,
                quiet=as_json,
                require_quorum=require_quorum,
                stopped=stop.is_set,
            )
            kept = evidence or monitor_folder(task.origin) / "evidence"
            run = Run(task, copier, Voice(output, task, kept), output, stop, retries)
            run.check_pins(pins)
            code = run.go_on(interval if follow else None)
    raise typer.Exit(code)


def _origin_of(where: str) -> str:
    if "://" in where:
        return origin_at(where)
    with open_source(where) as source:
        return origin_of(source.checkpoint())


def _pins(origin: str, named: Named) -> dict[str, bytes]:
    """Return what a stranger starts from: the files that are named or pinned here, as they are."""
    pinned = trust_folder(origin)
    found = {
        ROOT: read_file(named.trusted_root or pinned / PINNED_ROOT, LIMITS.trusted_root),
        POLICY: read_file(named.policy or pinned / PINNED_POLICY, LIMITS.policy),
    }
    if (pinned / PINNED_KEYS).exists():
        found[KEYS] = read_file(pinned / PINNED_KEYS, LIMITS.trusted_root)
    return {f"{PINS}/{name}": data for name, data in found.items()}


def _prepare(folder: Path) -> None:
    """Make the folder, or see that it is a copy or empty: nothing is copied over other files.

    Raises:
        MisuseError: it holds something else.
        LostCopyError: it cannot be made or read.
    """
    try:
        make_folder(folder)
        found = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise LostCopyError(f"cannot use {folder}: {error.strerror}") from error
    if found and not found & {CHECKPOINT, TARGET, LOCK}:
        raise MisuseError(f"{folder} is not empty, and holds no copy of a log")


class Run:
    """The rounds of one mirror, and what is said about them."""

    def __init__(
        self,
        task: Task,
        copier: Copier,
        voice: Voice,
        output: Output,
        stop: threading.Event,
        retries: int,
    ) -> None:
        self._task = task
        self._copier = copier
        self._voice = voice
        self._output = output
        self._stop = stop
        self._retries = retries

    def check_pins(self, pins: dict[str, bytes]) -> None:
        """Say what a stranger will miss."""
        if not pins:
            self._output.note("With --log nothing is pinned, so the copy has no pins to offer")
        elif f"{PINS}/{KEYS}" not in pins:
            self._output.note(f"No {KEYS} is pinned here, so the copy has none to offer")

    def go_on(self, interval: float | None) -> int:
        """Copy again and again, or once without an interval; return the exit code."""
        while True:
            try:
                code = self._round()
            except StoppedError:
                self._output.note("Told to end; run it again to go on")
                return UNCHECKED if interval is None else VERIFIED
            if interval is None or code == REFUSED or self._stop.wait(interval):
                return code

    def _round(self) -> int:
        try:
            done = self._patiently()
        except (LostCopyError, DamagedCopyError):
            raise
        except (MissingError, FormatError, VerificationError) as error:
            self._voice.alarm(error)
            return REFUSED
        except UnavailableError as error:
            self._voice.doubt(str(error))
            return UNCHECKED
        self._voice.clean()
        self._tell(done)
        return VERIFIED

    def _patiently(self) -> Copied:
        left, pause_s = self._retries, 1.0
        while True:
            try:
                with open_source(self._task.where) as source:
                    return self._copier.copy(source)
            except LostCopyError:
                raise
            except (UnavailableError, RollbackError):
                if not left:
                    raise
            if self._stop.wait(pause_s):
                raise StoppedError
            left, pause_s = left - 1, pause_s * 2

    def _tell(self, done: Copied) -> None:
        tree, known = done.view.checkpoint, len(self._task.policy.witnesses)
        quorum = has_quorum(self._task, done.view)
        worth = f"witnessed by {len(done.view.witnesses)} of {known}" if known else "logged"
        self._output.line(
            f"{tree.origin}: {tree.size} entries, {tree.size - done.before} copied now; {worth}"
            + ("" if quorum else ", no quorum")
        )
        self._output.record(
            event="copied",
            origin=tree.origin,
            size=tree.size,
            root=tree.root.hex(),
            copied=tree.size - done.before,
            witnesses=[{"name": name, "time": time} for name, time in done.view.witnesses],
            quorum=quorum,
        )
