"""One round of a mirror: from the log's checkpoint to a folder that holds everything under it.

The order, in which a crash costs repeated downloads and nothing else:

1. The log's checkpoint is verified, and extends every tree that the copy knows: its own checkpoint
   and the one that it was copying last (`.target`). A fork is told with its evidence.
2. `.target` is replaced. From now on the log cannot take that tree back, though nothing of it is
   copied yet, and nothing will be if it lacks a quorum that was asked for. The pins are written.
3. For each new bundle: bundle and level-0 tile, once they are tied to the root; then its envelopes,
   each once it is what the entry is about. A file that is there already is checked in place of a
   download. Then the tiles of the levels above.
4. Everything is synced.
5. The checkpoint is replaced. **This is the commit point.** Before it the folder is the old copy
   with files that nobody reads yet, after it the new one.

An envelope is written with the signatures of the entries that were copied, so it is a function of
the log; when another key signs the same payload it gains a signature, and is replaced.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from assay.checkpoint import Checkpoint, VerifiedCheckpoint
from assay.cli.ahead import in_order
from assay.cli.fsck_folder import TARGET
from assay.cli.mirror_files import DamagedCopyError, MirrorFiles
from assay.cli.progress import progress
from assay.cli.rounds import Round, Task, has_quorum, verify_view
from assay.cli.source import CHECKPOINT, ENVELOPES, Source
from assay.errors import (
    FormatError,
    MissingError,
    UnavailableError,
    VerificationError,
)
from assay.limits import LIMITS
from assay.logdata import (
    Claim,
    StoredEnvelope,
    TreeReader,
    check_claim,
    check_tree,
    fetch_envelope,
    parse_claim,
    parse_stored,
    read_bundles,
)
from assay.tiles import TILE_WIDTH, Tile, encode_entries, new_tiles

_LOCKS = 64


class StoppedError(Exception):
    """The mirror was told to end; what was copied so far is found by the next run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What a round did: the checkpoint that the copy has now, and the size that it had before."""

    view: VerifiedCheckpoint
    before: int


class Both:
    """The tiles of the copy where it has them, else those of the log."""

    def __init__(self, files: MirrorFiles, source: Source) -> None:
        self._files = files
        self._source = source
        self._own = False
        self.resumed = False

    def tile(self, tile: Tile) -> bytes:
        """Return the bytes of `tile`: the log's until `resumed` is set."""
        self._own = self.resumed
        if self.resumed:
            try:
                return self._files.source.tile(tile)
            except MissingError:
                self._own = False
        return self._source.tile(tile)

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Tell whose file it was that is not what was signed: the one that was read last."""
        try:
            yield
        except (FormatError, VerificationError) as error:
            if self._own:
                raise DamagedCopyError(f"the copy in {self._files.root}: {error}") from error
            raise


def _is_better(new: VerifiedCheckpoint, own: VerifiedCheckpoint) -> bool:
    """Say whether `new`, which extends `own`, is to take its place."""
    if new.checkpoint.size > own.checkpoint.size:
        return True
    return new.note != own.note and len(new.witnesses) >= len(own.witnesses)


class Copier:
    """Copies the log of `task` into `files`, round by round."""

    def __init__(
        self,
        task: Task,
        files: MirrorFiles,
        *,
        pins: Mapping[str, bytes],
        jobs: int,
        quiet: bool,
        require_quorum: bool,
        stopped: Callable[[], bool],
    ) -> None:
        self._task = task
        self._files = files
        self._pins = pins
        self._jobs = jobs
        self._quiet = quiet
        self._require_quorum = require_quorum
        self._stopped = stopped
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    def copy(self, source: Source) -> Copied:
        """Do one round.

        Raises:
            ForkError, RollbackError: the log contradicts what it signed before.
            VerificationError, FormatError: what it serves is not what it signed.
            MissingError: something is answered to be absent; UnavailableError: no answer, or no
                quorum where one is required.
            DamagedCopyError: the copy is not what it was; LostCopyError: it cannot be written.
            StoppedError: told to end.
        """
        own, target = self._known(CHECKPOINT), self._known(TARGET)
        this = Round(self._task, source)
        for known in (own, target):
            if known is not None:
                this.check_extends(known)
        better = own is None or _is_better(this.now, own)
        if better and (target is None or target.note != this.now.note):
            self._files.replace(TARGET, this.now.note)
            self._files.sync()
        view = this.now if own is None or better else own
        if self._require_quorum and not has_quorum(self._task, view):
            raise UnavailableError(
                f"the tree of {this.size} leaves has no quorum of witnesses yet; nothing is copied"
            )
        self._put_pins()
        if better:
            self._copy(source, view.checkpoint, own.checkpoint if own else None)
            self._files.publish(view.note)
        else:
            self._files.sync()
        return Copied(view=view, before=own.checkpoint.size if own else 0)

    def _known(self, name: str) -> VerifiedCheckpoint | None:
        note = self._files.read(name, LIMITS.note)
        if note is None:
            return None
        try:
            return verify_view(self._task, note)
        except (FormatError, VerificationError) as error:
            raise DamagedCopyError(
                f"{self._files.root / name} is not this log's checkpoint: {error}"
            ) from error

    def _put_pins(self) -> None:
        for name, data in self._pins.items():
            if self._files.read(name, LIMITS.trusted_root) != data:
                self._files.replace(name, data)

    def _copy(self, source: Source, tree: Checkpoint, old: Checkpoint | None) -> None:
        """Step 3."""
        start = old.size if old else 0
        both = Both(self._files, source)
        reader = check_tree(both, tree, old)
        both.resumed = True
        self._files.touch(ENVELOPES)
        claims = self._claims(both, reader, tree, start)
        work = partial(self._put_envelope, source)
        with progress("entries", tree.size - start, quiet=self._quiet) as advance:
            for _ in in_order(work, claims, self._jobs):
                advance()
                if self._stopped():
                    raise StoppedError
        for tile in new_tiles(start, tree.size):
            if tile.level:
                with both.blamed():
                    hashes = reader.hashes(tile.level, tile.index)
                self._files.put(tile.path, b"".join(hashes))

    def _claims(
        self, both: Both, reader: TreeReader, tree: Checkpoint, start: int
    ) -> Iterator[Claim]:
        """Yield the claims from entry `start` on; write each bundle, and the tile over it."""
        bundles = read_bundles(both, start, tree, reader)
        while True:
            with both.blamed():
                bundle = next(bundles, None)
            if bundle is None:
                return
            number, width = bundle.first // TILE_WIDTH, len(bundle.bodies)
            leaves = b"".join(reader.hashes(0, number))
            for level, data in ((None, encode_entries(bundle.bodies)), (0, leaves)):
                self._files.put(Tile(level=level, index=number, width=width).path, data)
            for index, body in enumerate(bundle.bodies, start=bundle.first):
                if index >= start:
                    yield parse_claim(index, body)

    def _put_envelope(self, source: Source, claim: Claim) -> None:
        name = f"{ENVELOPES}/{claim.pae_sha256.hex()}"
        with self._locks[claim.pae_sha256[0] % _LOCKS]:
            kept = self._files.read(name, LIMITS.bundle)
            signed = () if kept is None else self._signatures(name, claim, kept)
            if kept is not None and claim.signature in signed:
                check_claim(claim, kept)
                return
            data = fetch_envelope(source, claim)
            entry = check_claim(claim, data)
            # In the order of the log, which tells them so; what it no longer tells stays.
            known = {*signed, claim.signature}
            told = [value for value in entry.told if value in known]
            signatures = tuple(dict.fromkeys((*told, *signed)))
            if signatures != entry.told:
                payload = entry.envelope.payload
                data = StoredEnvelope(payload=payload, signatures=signatures).to_json()
            if kept is None:
                self._files.put(name, data, new=True)
            else:
                self._files.replace(name, data)

    def _signatures(self, name: str, claim: Claim, kept: bytes) -> tuple[bytes, ...]:
        """Return the signatures of an envelope of the copy."""
        try:
            stored = parse_stored(kept)
            if stored.pae_sha256 != claim.pae_sha256:
                raise VerificationError("it is another claim's")
        except (FormatError, VerificationError) as error:
            raise DamagedCopyError(f"{self._files.root / name}: {error}") from error
        return stored.signatures
