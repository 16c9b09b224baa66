"""The passes of an audit: what was left, then what is new; what is said; the exit code."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from assay.audit import (
    DIVERGED,
    EXACT,
    REFUSED as NOT_SIGNED,
    UNCHECKED as NOT_RUN,
    UNRUNNABLE,
    Audited,
    Plan,
    Result,
    Sent,
)
from assay.audit.found import OUTCOMES
from assay.cli.api import RefusedError
from assay.cli.audit_journal import REPORT_TEXT, Journal
from assay.cli.audit_round import History, Looker, Wish
from assay.cli.audit_site import Site
from assay.cli.audit_work import Worker, patiently
from assay.cli.output import REFUSED, UNCHECKED, VERIFIED, Output, plain
from assay.cli.progress import progress
from assay.cli.remember import LostStateError
from assay.cli.rounds import RollbackError, StoppedError, Task
from assay.cli.telling import Voice
from assay.errors import FormatError, UnavailableError, VerificationError

_STYLE = {DIVERGED: "bold red", NOT_SIGNED: "bold red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an audit is made of; `submit` hands in what is signed."""

    task: Task
    looker: Looker
    journal: Journal
    site: Site
    worker: Worker
    output: Output
    voice: Voice
    stop: threading.Event
    submit: bool


class Auditing:
    """Audits one log, pass by pass."""

    def __init__(self, parts: Parts, wish: Wish, retries: int) -> None:
        self._parts = parts
        self._wish = wish
        self._retries = retries
        self._worked: list[Audited] = []

    def go_on(self, interval: float | None) -> int:
        """Look again and again, or once without an interval; return the exit code.

        Raises:
            LostStateError: what is kept cannot be written.
        """
        lied = False
        while True:
            code = self._pass()
            self._parts.journal.report()
            lied = lied or code == REFUSED
            if interval is None or self._parts.stop.wait(interval):
                return REFUSED if lied else code

    def _pass(self) -> int:
        parts, self._worked = self._parts, []
        try:
            self._finish()
            plan = self._look()
            if plan is not None:
                one = parts.journal.begin(plan)
                self._tell_plan(one)
                self._work(one)
            parts.voice.clean()
        except StoppedError:
            parts.output.note("Told to end; the same command goes on")
            return REFUSED if self._lied else UNCHECKED
        except LostStateError:
            raise
        except (FormatError, VerificationError) as error:
            parts.voice.alarm(error)
            return REFUSED
        except UnavailableError as error:
            parts.voice.doubt(f"{error}; the same command goes on")
            return REFUSED if self._lied else UNCHECKED
        finally:
            self._tell_end()
        return self._code()

    # ------------------------------------------------------------------ the steps of a pass

    def _finish(self) -> None:
        """Do what an earlier run left: executions without a result, statements without answer."""
        for one in self._parts.journal.rounds:
            if one.waiting or (self._parts.submit and one.unsent):
                # What was asked for then is finished now; the next round begins behind it.
                self._wish = replace(self._wish, since=None)
                self._tell_plan(one)
                self._work(one)

    def _look(self) -> Plan | None:
        journal, since = self._parts.journal, self._wish.since
        start = journal.end if since is None else since
        plan = self._again(lambda: self._parts.looker.look(start, self._wish))
        self._wish = replace(self._wish, since=None)
        if plan is None:
            self._parts.output.line(f"No execution from entry {start} on")
        return plan

    def _again(self, question: Callable[[], Plan | None]) -> Plan | None:
        """Ask, and again after 1, 2, 4, … seconds: a cache may be behind for a moment."""
        left, pause_s = self._retries, 1.0
        while True:
            try:
                return question()
            except LostStateError:
                raise
            except (UnavailableError, RollbackError):
                if not left:
                    raise
            if self._parts.stop.wait(pause_s):
                raise StoppedError
            left, pause_s = left - 1, pause_s * 2

    def _work(self, one: Audited) -> None:
        parts = self._parts
        self._worked.append(one)
        waiting = {*one.waiting}
        left = [item for item in one.plan.drawn if item.index in waiting]
        left.sort(key=lambda item: (item.graph, item.index))  # one model after the other
        with (
            History(parts.task, one.plan) as history,
            progress("auditing", len(left), quiet=parts.output.as_json) as advance,
        ):
            for item in left:
                wait = parts.stop.wait
                found = patiently(parts.worker, item, history, self._retries, wait)
                if found is None or parts.stop.is_set():
                    raise StoppedError
                parts.journal.add(one, found)
                self._tell_result(one, found)
                advance()
                self._send(one, found)
        parts.worker.close()  # a round may be followed by a long pause
        for found in one.unsent:
            self._send(one, found)

    def _send(self, one: Audited, found: Result) -> None:
        """Hand in a statement; one that gets no answer waits for the next run."""
        parts = self._parts
        if not parts.submit or found.envelope is None:
            return
        try:
            told = parts.site.hand_in(found.envelope.to_dict(), found.key)
            sent = Sent(index=found.index, taken=True, reason=plain(told))
        except RefusedError as error:
            sent = Sent(index=found.index, taken=False, reason=plain(str(error))[:2000])
            parts.output.alarm(f"entry {found.index}: the registry refuses the statement: {error}")
        parts.journal.add(one, sent)
        parts.output.record(event="sent", **sent.to_dict())

    # ------------------------------------------------------------------ what is said

    @property
    def _lied(self) -> bool:
        return any(one.count(DIVERGED) or one.count(NOT_SIGNED) for one in self._worked)

    def _code(self) -> int:
        if self._lied:
            return REFUSED
        doubtful = any(
            one.count(NOT_RUN) or one.count(UNRUNNABLE) or one.waiting or one.taken < len(one.sent)
            for one in self._worked
        )
        return UNCHECKED if doubtful else VERIFIED

    def _tell_plan(self, one: Audited) -> None:
        plan, left = one.plan, len(one.waiting)
        asked = "all" if plan.sample is None else f"{len(plan.drawn)}"
        self._parts.output.line(
            f"{plan.origin}, entries {plan.start} to {plan.end - 1}: {plan.executions} executions, "
            f"{asked} drawn by root {plan.root} and nonce {plan.nonce}; {left} to do"
        )
        told = {name: value for name, value in plan.to_dict().items() if name != "drawn"}
        drawn = [item.index for item in plan.drawn]
        self._parts.output.record(event="round", **told, drawn=drawn, left=left)

    def _tell_result(self, one: Audited, found: Result) -> None:
        output, evidence = self._parts.output, self._parts.journal.folder / found.evidence
        told = {**found.to_dict(), "envelope": None}
        if found.outcome != EXACT:
            item = next(item for item in one.plan.drawn if item.index == found.index)
            style = _STYLE.get(found.outcome, "yellow")
            lines = [f"{found.outcome.upper()}  entry {item.index}, {item.execution or '?'}"]
            lines.append(f"  {found.reason}")
            if found.first_divergence:
                lines.append(
                    f"  first diverging node, by the {found.basis}: {found.first_divergence}"
                )
            if found.evidence:
                lines.append(f"  kept: {evidence}")
            for line in lines:
                output.alarm(line, style=style)
        output.record(event="result", **told)

    def _tell_end(self) -> None:
        parts = self._parts
        counts = {name: sum(one.count(name) for one in self._worked) for name in OUTCOMES}
        if not self._worked:
            return
        taken = sum(one.taken for one in self._worked)
        waiting = sum(len(one.waiting) for one in self._worked)
        words = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        report = parts.journal.folder / REPORT_TEXT
        parts.output.line(
            f"{words or 'nothing'}; {taken} statements taken by the registry; {waiting} left",
            "bold red" if self._lied else "bold green",
        )
        parts.output.line(f"  report: {report}")
        parts.output.record(
            event="ended", **counts, taken=taken, waiting=waiting, report=str(report)
        )
