"""The programs of one embedded Assay, and how to tell that each does its work."""

from __future__ import annotations

import http.client
import signal
import socket
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.db import Error, connection

from assay.policy import parse_policy
from config import embedded
from config.supervise import Program
from inference.client import ExecutorClient, ExecutorUnavailableError
from inference.services.auditor_key import own_auditors
from ledger import services as ledger
from ledger.choices import LeaderState
from ledger.errors import LedgerError

MANAGE = str(Path(__file__).resolve().parent.parent / "manage.py")
WITNESS_NAME = "local-witness"


def answers(port: int, path: str) -> Callable[[], bool]:
    """Return a check: does `GET path` on this machine's `port` answer 200?"""

    def check() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    return check


def free_port(wanted: int | None) -> int:
    """Return `wanted` when nobody listens there, else a port that the kernel picks."""
    for port in (wanted, 0):
        if port is None:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port on 127.0.0.1")


def _manage(*arguments: str) -> list[str]:
    return [sys.executable, MANAGE, *arguments]


def _celery(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "celery", "--app", "config.celery", *arguments]


def databases() -> list[Program]:
    """Return PostgreSQL and Redis, or what of them the settings do not take from elsewhere."""
    programs = []
    if settings.POSTGRES.url == settings.DATABASE_URL:
        programs.append(
            Program(
                name="postgresql",
                command=settings.POSTGRES.command(),
                ready=settings.POSTGRES.answers,
                stop=signal.SIGINT,
            )
        )
    if settings.REDIS.broker_url == settings.CELERY_BROKER_URL:
        programs.append(
            Program(name="redis", command=settings.REDIS.command(), ready=settings.REDIS.answers)
        )
    return programs


def refuse_embedded() -> None:
    """Raise EmbeddedError when people elsewhere would come to a site on the embedded servers."""
    names = [program.name for program in databases()]
    if names and not settings.SITE_IS_LOCAL:
        raise embedded.EmbeddedError(
            f"The embedded {' and '.join(names)} have no passwords and are for this machine alone, "
            f"and SITE_URL is {settings.SITE_URL}: set DATABASE_URL and CELERY_BROKER_URL"
        )


def witness(port: int, log_vkey: str) -> Program:
    """Return the local witness: a key and a memory apart from the log's."""
    folder = settings.DATA / "witness"
    command = [
        *(sys.executable, "-m", "assay.cli", "witness", "serve"),
        *("--key", str(folder / "key.pem"), "--state", str(folder / "state")),
        *("--log", log_vkey, "--name", WITNESS_NAME, "--port", str(port)),
    ]
    return Program(
        name="witness", command=command, ready=answers(port, "/vkey"), environment=_environment()
    )


def write_policy(port: int, log_vkey: str) -> None:
    """Write the tlog-policy of an embedded Assay: this log, and the witness that runs beside it.

    An operator who names other witnesses sets `WITNESS_POLICY`; that file is left alone.
    """
    ours = settings.DATA / "witness-policy.txt"
    if ours != settings.WITNESS_POLICY:
        return
    url = f"http://127.0.0.1:{port}"
    with urllib.request.urlopen(f"{url}/vkey", timeout=5) as answer:  # noqa: S310 (our own child)
        vkey = answer.read().decode("ascii").strip()
    text = f"log {log_vkey} {settings.LEDGER_URL}\nwitness local {vkey} {url}\nquorum local\n"
    parse_policy(text)
    draft = ours.with_suffix(".new")
    draft.write_text(text, encoding="ascii")
    draft.replace(ours)


def _executor_answers() -> bool:
    client = ExecutorClient(settings.EXECUTOR_SOCKET, timeout=5)
    try:
        client.status()
    except ExecutorUnavailableError:
        return False
    return True


def _auditor_known() -> bool:
    """Tell whether the auditor got so far that its key is registered."""
    try:
        return bool(own_auditors())
    except Error:
        connection.close()
        return False


def _worker_answers() -> bool:
    from config.celery import app  # the worker's broker need not be up when this module loads

    return bool(app.control.ping(timeout=0.5))


def sequencer_leads() -> bool:
    """Tell whether the log is open, and a sequencer leads it and says that all is well.

    The database is asked, not a folder: the log's files may lie elsewhere.
    """
    try:
        ledger.newest_checkpoint()
        state = ledger.log_state()
    except LedgerError:
        return False
    except Error:
        connection.close()
        return False
    return state.alive and state.state == LeaderState.LEADING


def servers() -> list[Program]:
    """Return every process of ours but the witness."""
    beat_file = str(settings.DATA / "celerybeat-schedule")
    shell = _environment()
    return [
        Program(
            name="sequencer",
            command=_manage("sequencer"),
            ready=sequencer_leads,
            environment=shell,
        ),
        Program(
            name="executor", command=_manage("executor"), ready=_executor_answers, environment=shell
        ),
        Program(
            name="auditor", command=_manage("auditor"), ready=_auditor_known, environment=shell
        ),
        Program(
            name="web",
            command=_manage("serve"),
            ready=answers(settings.PORT, "/readyz"),
            environment=shell,
        ),
        Program(
            name="worker",
            command=_celery(
                *("worker", "--pool", "threads", "--concurrency", "4", "--without-gossip"),
                *("--without-mingle", "--queues", "executions,replays,housekeeping"),
                *("--loglevel", "WARNING", "--hostname", "worker@localhost"),
            ),
            ready=_worker_answers,
            environment=shell,
        ),
        Program(
            name="beat",
            command=_celery("beat", "--schedule", beat_file, "--loglevel", "WARNING"),
            ready=lambda: True,
            environment=shell,
        ),
    ]


def _environment() -> dict[str, str]:
    root = str(Path(MANAGE).parent)
    changes = {"PYTHONPATH": root, "PORT": str(settings.PORT), "PYTHONUNBUFFERED": "1"}
    return embedded.child_environment(settings.DATA) | changes
