"""The programs beside the web server: broker, workers, executor, sequencer, witnesses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from assay.errors import UnavailableError
from assay.policy import PolicyKey
from config import probes
from config.celery import app
from config.doctor.findings import Finding, fault, good, warning
from inference import runtimes
from inference.client import Status
from ledger import services as ledger
from ledger.choices import LeaderState
from ledger.errors import LedgerError
from ledger.policy import WitnessPolicyError, witness_policy
from ledger.selectors import find_log, newest_published, witnessing

_ANSWER_S = 1.0
_FAULTS = probes.BROKER_FAULTS
_HERE = ("localhost", "127.0.0.1", "::1")
SILENT_AFTER = timedelta(minutes=10)


def check_broker() -> Iterator[Finding]:
    """Open a connection to the broker."""
    if probes.broker().works:
        yield good("answers")
        return
    own = settings.REDIS.broker_url == settings.CELERY_BROKER_URL
    remedy = "Start it: `make run`." if own else "Look at CELERY_BROKER_URL, and at the server."
    yield fault("does not answer: queued executions and letters wait", remedy)


def check_worker() -> Iterator[Finding]:
    """Ask the workers who they are, and whether somebody drains each queue."""
    try:
        found = app.control.inspect(timeout=_ANSWER_S).active_queues() or {}
    except _FAULTS as error:
        yield fault(f"cannot be asked: {error}", "Look at the broker.")
        return
    drained = {queue["name"] for queues in found.values() for queue in queues}
    missing = sorted({"executions", "replays", "housekeeping"} - drained)
    if missing:
        yield fault(
            f"nobody drains {', '.join(missing)}",
            "Run `celery -A config worker --queues executions,replays,housekeeping`.",
        )
    else:
        yield good(f"{len(found)} at work; every queue is drained")


def check_executor() -> Iterator[Finding]:
    """Ask the executor of this machine how it fares."""
    status = probes.executor_status()
    if status is None:
        yield fault(
            f"nobody answers at {settings.EXECUTOR_SOCKET}: no model runs on this machine",
            "Run `manage.py executor`, or leave this check out on a machine that runs no models.",
        )
        return
    yield good(f"{status.free} of {status.slots} processes are free")
    open_layers = sorted(name for name, holds in status.jail.items() if not holds)
    if open_layers:
        yield warning(
            f"the jail of models lacks {', '.join(open_layers)}",
            "Use a kernel with Landlock and seccomp, and let no container take them away.",
        )
    yield from _kept_out(status)


def _kept_out(status: Status) -> Iterator[Finding]:
    if status.quarantined:
        yield warning(
            f"{len(status.quarantined)} models are kept out: they end their processes",
            "Their pages say why; they are tried again later.",
        )
    try:
        digest = runtimes.current().runtime.digest
    except UnavailableError:  # `runtime` tells
        return
    if digest not in {one.get("digest", {}).get("sha256") for one in status.runtimes}:
        yield fault(
            "the executor runs another runtime than the site names",
            "Restart it, so that it reads the files that are there now.",
        )


def check_log() -> Iterator[Finding]:
    """Tell whether the log is open, led and growing."""
    try:
        head, state = ledger.newest_checkpoint(), ledger.log_state()
    except LedgerError as error:
        yield fault(error.message, "Run `manage.py sequencer`: it opens the log.")
        return
    except DatabaseError as error:
        yield fault(f"cannot be read: {error}", "Let the role read every table.")
        return
    if state.state == LeaderState.STOPPED:
        yield fault(f"has stopped: {state.reason}", "See 'When the log stops' in 'Operate'.")
    elif not state.alive:
        yield fault(
            "no sequencer was heard: what is signed waits, and nothing is lost",
            "Run `manage.py sequencer` on the machine that has the log's key.",
        )
    elif state.state == LeaderState.HELD:
        yield fault(f"waits: {state.reason}", "See 'When the log waits' in 'Operate'.")
    else:
        yield good(f"{head.origin} has {head.size} entries and is led by {state.leader}")


def check_witnesses() -> Iterator[Finding]:
    """Tell who cosigned the newest checkpoint, and whether that is enough."""
    try:
        policy = witness_policy()
        newest = newest_published(find_log(""))
        seen = witnessing(newest)
    except WitnessPolicyError as error:
        yield fault(error.message, f"Correct {settings.WITNESS_POLICY}.")
        return
    except (LedgerError, DatabaseError):  # `log` tells
        return
    if policy is None:
        yield warning(
            "nobody cosigns: a log that forks would be noticed by its readers alone",
            f"Ask others to run `assay witness serve`, and write {settings.WITNESS_POLICY}.",
        )
        return
    late = timezone.now() - newest.signed_at > SILENT_AFTER
    if seen.needed and not seen.met:
        say = fault if late else warning
        yield say(
            f"{len(seen.signed)} of {seen.needed} needed cosigned the newest checkpoint",
            f"Silent: {', '.join(seen.silent) or 'none'}. Ask who runs them.",
        )
    elif seen.silent and late:
        yield warning(f"silent: {', '.join(seen.silent)}", "The quorum is met; ask who runs them.")
    else:
        yield good(f"{len(seen.signed)} of {seen.asked} cosigned the newest checkpoint")
    if _all_ours(policy.witnesses.values()):
        yield warning(
            "every witness runs on this machine: they guard against accidents, not against you",
            "Ask others to run `assay witness serve` for this log.",
        )


def _all_ours(witnesses: Iterable[PolicyKey]) -> bool:
    return all(urlsplit(key.url).hostname in _HERE for key in witnesses if key.url)
