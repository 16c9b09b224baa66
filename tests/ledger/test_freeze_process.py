"""The end of a log as an operator lives it: real sequencer processes, the command, new settings."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.conf import settings as here
from django.core.management import call_command
from django.db import connection
from pytest_django import Settings

from config.env import environment
from ledger import services as ledger
from ledger.errors import LogBusyError, LogFrozenError
from ledger.models import Log
from tests.ledger.builders import append_all, claim, verified
from tests.ledger.succession import FIRST, NEXT, move

PATIENCE_S = 60.0


@contextmanager
def process() -> Iterator[subprocess.Popen[bytes]]:
    """Run `manage.py sequencer` with the settings of this moment; end it if it lives."""
    database = here.DATABASE_URL.rpartition("/")[0]
    child = subprocess.Popen(
        [sys.executable, "manage.py", "sequencer"],
        cwd=here.BASE_DIR,
        env=environment(
            DATA=str(here.LEDGER_DIR.parent),
            DATABASE_URL=f"{database}/{connection.settings_dict['NAME']}",
            DATABASE_POOL="0",
            LEDGER_ORIGIN=here.LEDGER_ORIGIN,
            LEDGER_URL=here.LEDGER_URL,
            LEDGER_KEY=str(here.LEDGER_KEY),
        ),
        stderr=subprocess.PIPE,
    )
    try:
        yield child
    finally:
        child.terminate()
        child.wait()
        if child.stderr:
            child.stderr.close()


def append_when_open(number: int) -> int:
    """Append a claim as soon as the sequencer has opened the log."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return claim(number, by="bob").append()
        except LogBusyError:
            assert time.monotonic() < until, "the log was never opened"
            threading.Event().wait(0.05)


@pytest.mark.django_db(transaction=True)
def test_an_operator_ends_a_log_and_begins_another(settings: Settings) -> None:
    ledger.ensure_log()
    alices = append_all(range(3))
    out = io.StringIO()
    with process():
        call_command("ledger_freeze", "--yes", "--successor", NEXT, "--wait", "60", stdout=out)
    assert "has ended.\n  size       3\n" in out.getvalue()
    with pytest.raises(LogFrozenError):
        claim(3).append()

    move(settings, "mallory.example")
    with process() as child:
        said = child.communicate(timeout=PATIENCE_S)[1].decode()
    assert child.returncode == 1
    assert f"named its successor when it was frozen: {NEXT}" in said

    move(settings)
    with process():
        bobs = append_when_open(3)
        assert ledger.wait_included(bobs, PATIENCE_S)
    assert [log.origin for log in Log.objects.order_by("pk")] == [FIRST, NEXT]
    for number, entry in enumerate([*alices, bobs]):
        assert verified(entry, number).index == number % 3
