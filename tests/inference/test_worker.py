"""A real Celery worker, and what is left when it is killed."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.db.models.functions import Now
from pytest_django import Settings

from config import env
from inference import tasks
from inference.models import Execution
from inference.services import asking, queue
from inference.services.enrolment import enrol
from inference.services.submit import submit
from inference.services.work import work
from tests.inference.builders import fp32, plan, publish
from tests.inference.conftest import LOG, Site
from tests.inference.executor.models import add, endless
from tests.inference.executor.running import start_supervisor, wait_until
from tests.people import Person

ROOT = Path(__file__).parents[2]
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING")
# Each of these finds no row, whatever happened.
UNFINISHED = (
    "SELECT id FROM inference_execution WHERE (state = 'succeeded') <> (entry_id IS NOT NULL)"
)
UNFOUNDED = """SELECT id FROM ledger_entry n WHERE kind = 'execution' AND NOT EXISTS (
    SELECT FROM inference_execution e WHERE e.entry_id = n.id AND e.state = 'succeeded')"""
DOUBLED = """SELECT entry_id FROM inference_execution WHERE entry_id IS NOT NULL
    GROUP BY 1 HAVING count(*) > 1"""
RESTLESS = "SELECT id FROM inference_execution WHERE attempts > max_attempts"


@pytest.fixture
def worker(
    committed: Site, settings: Settings, tmp_path: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process on the database, the folders and the broker of this test."""
    database = str(connection.settings_dict["NAME"])
    environment = env.environment(
        DATA=str(tmp_path),
        DATABASE_URL=f"{django_settings.DATABASE_URL.rpartition('/')[0]}/{database}",
        CELERY_BROKER_URL=settings.CELERY_BROKER_URL,
        EXECUTOR_SOCKET=str(settings.EXECUTOR_SOCKET),
    )
    command = [
        *(sys.executable, "-m", "celery", "--app", "config.celery", "worker"),
        *("--pool", "threads", "--concurrency", "2", "--queues", "executions", *QUIET),
    ]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def state_of(row: Execution) -> Any:
    return Execution.objects.get(pk=row.pk).state


def heard(row: Execution) -> Any:
    """Return the state after one more wake-up: others that use the broker may have taken ours."""
    tasks.wake()
    return state_of(row)


def test_a_killed_worker_loses_nothing(
    worker: subprocess.Popen[bytes], committed: Site, alice: Person
) -> None:
    publish(alice, "add", add())
    publish(alice, "endless", endless())
    rows = [submit(plan("alice/add", [fp32("x", n)])).execution for n in range(3)]
    wait_until(lambda: {heard(row) for row in rows} == {"succeeded"})

    slow = submit(plan("alice/endless", [fp32("x", 1)], user=alice.user)).execution
    wait_until(lambda: heard(slow) == "running")
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert state_of(slow) == "running"
    Execution.objects.filter(pk=slow.pk).update(lease_until=Now() - timedelta(seconds=1))
    assert tasks.sweep() == 1
    again = Execution.objects.get(pk=slow.pk)
    assert (again.state, again.attempts, again.entry_id) == ("queued", 1, None)
    assert queue.cancel(slow.pk, alice.user).state == "cancelled"

    with connection.cursor() as cursor:
        for query in (UNFINISHED, UNFOUNDED, DOUBLED, RESTLESS):
            cursor.execute(query)
            assert cursor.fetchall() == []


def test_a_killed_executor_costs_an_attempt_and_nothing_else(
    committed: Site, alice: Person, settings: Settings
) -> None:
    publish(alice, "endless", endless())
    row = submit(plan("alice/endless", [fp32("x", 1)], user=alice.user)).execution
    doomed = start_supervisor(log=LOG, arguments=["--slots", "1"])
    try:
        settings.EXECUTOR_SOCKET = doomed.socket
        enrol()
        (held,) = queue.claim(1)
        thread = threading.Thread(target=_work_and_close, args=(held,))
        thread.start()
        client = doomed.client()
        wait_until(lambda: client.status().free == 0)
        doomed.kill()
        thread.join()
    finally:
        asking.executor().close()
        doomed.kill()
        shutil.rmtree(doomed.folder)
    after = Execution.objects.get(pk=row.pk)
    assert (after.state, after.attempts, after.entry_id) == ("queued", 1, None)


def _work_and_close(held: queue.Claim) -> None:
    try:
        work(held)
    finally:
        connection.close()
