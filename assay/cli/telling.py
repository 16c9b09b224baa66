"""What a monitor says: lines for people or for programs, and the files that prove it.

Evidence is written, and synced, before the line that names it: who reads the line can take the
files away. What stays wrong is said once, and again only after a round in which nothing was.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.checkpoint import VerifiedCheckpoint
from assay.cli.output import Output
from assay.cli.remember import keep_evidence
from assay.cli.rounds import RollbackError, Task
from assay.digests import sha256_hex
from assay.errors import AssayError, FormatError, MissingError
from assay.monitor import ALARM, WARNING, Finding, ForkError
from assay.splitview import check_split_view

_STYLES = {ALARM: "bold red", WARNING: "yellow"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A lie: its kind, what it is, the files that prove it, and the one that convinces strangers.

    `kind` is `split view`, `rollback`, `withheld`, `malformed` or `refused`.
    """

    kind: str
    reason: str
    files: dict[str, bytes] = field(default_factory=dict)
    proof: str = ""


def alarm_of(error: AssayError, task: Task) -> Alarm:
    """Return the alarm that `error`, from a round, amounts to."""
    if isinstance(error, ForkError):
        data = error.evidence.render()
        stem = f"split-view-{task.origin}-{sha256_hex(data)[:16]}"
        proof = f"{stem}.json"
        files = {**_notes(stem, error.first, error.second), proof: data}
        reason = check_split_view(error.evidence, task.log)
        return Alarm(kind="split view", reason=reason, files=files, proof=proof)
    if isinstance(error, RollbackError):
        stem = f"rollback-{task.origin}-{sha256_hex(error.first + error.second)[:16]}"
        files = _notes(stem, error.first, error.second)
        return Alarm(kind="rollback", reason=str(error), files=files)
    if isinstance(error, MissingError):
        reason = f"the log signed a tree and does not show all of it: {error}"
        return Alarm(kind="withheld", reason=reason)
    kind = "malformed" if isinstance(error, FormatError) else "refused"
    return Alarm(kind=kind, reason=str(error))


def _notes(stem: str, first: bytes, second: bytes) -> dict[str, bytes]:
    return {f"{stem}-first.checkpoint": first, f"{stem}-second.checkpoint": second}


class Voice:
    """Tells what the rounds of one monitor find."""

    def __init__(self, output: Output, task: Task, evidence: Path) -> None:
        self._output = output
        self._task = task
        self._evidence = evidence
        self._met = False
        self._wrong: set[str] = set()
        self._shown: tuple[bytes, str] | None = None

    def first_contact(self, view: VerifiedCheckpoint) -> None:
        """Say, once, that the first tree is trusted because it is the first."""
        tree = view.checkpoint
        if self._met:
            return
        self._met = True
        self._output.line(
            f"First contact with {tree.origin}: the root of its {tree.size} leaves is taken on "
            "trust. A history that was rewritten before would not show: compare it with other "
            "views of the log.",
            "yellow",
        )
        self._output.record(event="first contact", **_tree(view))

    def skipped(self, start: int, end: int) -> None:
        """Say which entries nobody checked."""
        which = f"entries {start} to {end - 1}" if start < end else "no entry"
        self._output.line(f"Not checked, as you asked: {which}", "yellow")
        self._output.record(event="skipped", start=start, end=end)

    def finding(self, finding: Finding) -> None:
        """Say that somebody stated something that is watched for."""
        kind = finding.predicate_type.removeprefix("urn:assay:").removesuffix(":v1")
        words = " ".join(word for word in (kind, finding.about, finding.action) if word)
        self._output.line(
            f"{finding.level.upper()}  entry {finding.index}: {words}, "
            f"signed by {finding.signer} [{', '.join(finding.watched)}]",
            _STYLES.get(finding.level, ""),
        )
        self._output.record(
            event="statement",
            level=finding.level,
            index=finding.index,
            type=finding.predicate_type,
            about=finding.about,
            action=finding.action,
            signer=finding.signer,
            watched=list(finding.watched),
        )

    def checked(self, view: VerifiedCheckpoint, start: int, *, quorum: bool) -> None:
        """Say what is remembered now, and what it is worth: logged, or witnessed by how many."""
        tree, known = view.checkpoint, len(self._task.policy.witnesses)
        worth = f"witnessed by {len(view.witnesses)} of {known}" if known else "logged"
        if not quorum:
            worth = f"logged; {worth}, no quorum"
        if self._shown == (tree.root, worth):
            return
        self._shown = (tree.root, worth)
        self._output.line(
            f"{tree.origin}: {tree.size} leaves, {tree.size - start} checked now; {worth}"
        )
        self._output.record(
            event="checked",
            start=start,
            witnesses=[{"name": name, "time": time} for name, time in view.witnesses],
            quorum=quorum,
            **_tree(view),
        )

    def clean(self) -> None:
        """Nothing was wrong in this round."""
        self._wrong.clear()

    def doubt(self, reason: str) -> None:
        """Say what could not be checked."""
        if self._is_new(reason):
            self._output.alarm(f"Could not check: {reason}", style="bold yellow")
            self._output.record(event="unchecked", reason=reason)

    def alarm(self, error: AssayError) -> None:
        """Keep the evidence, then say that the log lied.

        Raises:
            LostStateError: the evidence could not be written; the alarm was said all the same.
        """
        alarm = alarm_of(error, self._task)
        if not self._is_new(alarm.reason):
            return
        files: list[Path] = []
        try:
            files = keep_evidence(self._evidence, alarm.files)
        finally:
            self._sound(alarm, files)

    def _sound(self, alarm: Alarm, files: list[Path]) -> None:
        check = ""
        self._output.alarm(f"ALARM, {alarm.kind}: {alarm.reason}")
        for path in files:
            self._output.alarm(f"  kept: {path}")
            if path.name == alarm.proof:
                check = f"assay split-view {path} --vkey {self._task.log}"
                self._output.alarm(f"  show it to others; anyone can check it: {check}")
        self._output.record(
            event="alarm",
            kind=alarm.kind,
            reason=alarm.reason,
            files=[str(path) for path in files],
            check=check,
        )

    def _is_new(self, reason: str) -> bool:
        known = reason in self._wrong
        self._wrong.add(reason)
        return not known


def _tree(view: VerifiedCheckpoint) -> dict[str, Any]:
    tree = view.checkpoint
    return {"origin": tree.origin, "size": tree.size, "root": tree.root.hex()}
