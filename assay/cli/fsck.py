"""`assay fsck`: recompute a whole log from its files, wherever they lie.

1. The checkpoint is signed by the log; the policy's witnesses are counted.
2. The tiles at the right edge rebuild its root.
3. Every tile of every level hashes to its place in the tile above, every bundle to its tile; every
   entry is a claim whose envelope is there, with its digest, its signature, and a statement in it.
4. In a folder: what else lies there agrees with the tree, or is named.

The first damage is named, and ends the run. What is *answered* to be absent is damage: a log writes
its files before it publishes the checkpoint over them. What cannot be had is exit code 3.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated

import typer

from assay.checkpoint import Checkpoint, VerifiedCheckpoint
from assay.cli.ahead import in_order
from assay.cli.fsck_folder import Digests, Extras, check_folder
from assay.cli.known import LogOption, OriginOption, origin_named, task_for
from assay.cli.output import Output, exit_codes
from assay.cli.progress import progress
from assay.cli.rounds import Task, has_quorum, verify_view
from assay.cli.source import FolderSource, Source, open_source
from assay.cli.trust import Named, origin_of
from assay.cli.verify import JsonOption, PolicyOption, RootOption
from assay.errors import MissingError, UnavailableError, VerificationError
from assay.logdata import (
    TreeReader,
    check_tree,
    disputed_tile,
    fetch_entry,
    read_claims,
)
from assay.tiles import TILE_HEIGHT
from assay.verify import Step

JobsOption = Annotated[int, typer.Option(min=1, max=64, help="Requests at one time.")]


def fsck(
    where: Annotated[str, typer.Argument(help="The log: an http(s) URL, or the folder of a copy.")],
    *,
    log: LogOption = "",
    origin: OriginOption = "",
    trusted_root: RootOption = None,
    policy: PolicyOption = None,
    jobs: JobsOption = 8,
    strict: Annotated[
        bool, typer.Option("--strict", help="Files in a folder that nobody signed are damage.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Recompute a log. Exit code: 0 whole, 1 damaged, 2 usage, 3 could not check."""
    output = Output(as_json=as_json)
    with exit_codes(output), open_source(where) as source:
        try:
            note = source.checkpoint()
        except MissingError as error:
            raise UnavailableError(f"no log is there: {error}") from error
        named = Named(trusted_root=trusted_root, policy=policy)
        task = task_for(where, origin_named(origin, log) or origin_of(note), log, named)
        check = Check(source, task, output, jobs)
        with _absence_is_damage():
            view = check.head(note)
            claimed = check.entries(view)
            extras = check.beside(view, claimed, strict=strict)
        output.line(f"Whole: {view.checkpoint.size} entries of {task.origin}", "bold green")
        output.json(**check.result(view, extras))


@contextmanager
def _absence_is_damage() -> Iterator[None]:
    try:
        yield
    except MissingError as error:
        raise VerificationError(f"something of the log is missing: {error}") from error


class Check:
    """One run over the log of `task` at `source`."""

    def __init__(self, source: Source, task: Task, output: Output, jobs: int) -> None:
        self._source = source
        self._task = task
        self._output = output
        self._jobs = jobs

    def head(self, note: bytes) -> VerifiedCheckpoint:
        """Step 1."""
        view = verify_view(self._task, note)
        tree = view.checkpoint
        self._step(
            1,
            "The log signed the checkpoint",
            f"{tree.origin}, {tree.size} leaves, root {tree.root.hex()}, by {self._task.log}",
        )
        known = len(self._task.policy.witnesses)
        if known:
            self._output.line(f"      witnessed by {len(view.witnesses)} of {known}", "dim")
        if not has_quorum(self._task, view):
            self._output.note(f"no quorum: the policy asks for {self._task.policy.quorum}")
        return view

    def entries(self, view: VerifiedCheckpoint) -> Digests:
        """Steps 2 and 3; return which envelopes the entries name."""
        tree, claimed = view.checkpoint, Digests()
        reader = self._tree(tree)
        self._step(2, "The right edge of the tiles rebuilds the root", f"size {tree.size}")
        claims = read_claims(self._source, 0, tree, reader)
        with progress("entries", tree.size, quiet=self._output.as_json) as advance:
            for entry in in_order(partial(fetch_entry, self._source), claims, self._jobs):
                claimed.add(entry.pae_sha256)
                advance()
        self._step(
            3,
            "Every tile, bundle and envelope is what was signed",
            f"{tree.size} entries, {levels(tree.size)} levels of tiles",
        )
        return claimed

    def _tree(self, tree: Checkpoint) -> TreeReader:
        try:
            return check_tree(self._source, tree)
        except VerificationError as error:
            path = disputed_tile(self._source, tree.size)
            hint = f"{path} does not fit what is under it" if path else "all of them fit each other"
            raise VerificationError(f"{error}; {hint}") from error

    def beside(self, view: VerifiedCheckpoint, claimed: Digests, *, strict: bool) -> Extras:
        """Step 4, for a folder; an address cannot be listed."""
        if not isinstance(self._source, FolderSource):
            return Extras()
        extras = check_folder(self._source, view.checkpoint.size, self._task, claimed)
        names = ", ".join(extras.names)
        if extras.surplus and strict:
            raise VerificationError(f"{extras.surplus} files that nobody signed: {names}")
        if extras.surplus:
            self._output.note(f"{extras.surplus} files that nobody signed: {names}")
        self._step(
            4,
            "What else lies there agrees with the tree",
            f"{extras.agreeing} partial tiles of other sizes, {extras.surplus} files beside",
        )
        return extras

    def result(self, view: VerifiedCheckpoint, extras: Extras) -> dict[str, object]:
        """Return what a program wants to know."""
        tree = view.checkpoint
        return {
            "verdict": "whole",
            "origin": tree.origin,
            "size": tree.size,
            "root": tree.root.hex(),
            "witnesses": [{"name": name, "time": time} for name, time in view.witnesses],
            "quorum": has_quorum(self._task, view),
            "surplus": extras.surplus,
        }

    def _step(self, number: int, name: str, detail: str) -> None:
        self._output.step(Step(number=number, name=name, detail=detail))


def levels(size: int) -> int:
    """Return how many levels of tiles a tree of `size` leaves has."""
    return -(-size.bit_length() // TILE_HEIGHT)
