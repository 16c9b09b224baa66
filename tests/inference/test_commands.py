"""`manage.py executor` and `register_executor`, ids, and the words of the choices."""

from __future__ import annotations

import os
import sys
import time
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from inference.choices import TERMINAL, ExecutionState
from inference.executor.__main__ import parse
from inference.ids import uuid7
from inference.models import Execution, Tensors
from registry.choices import KeyRole
from registry.models import Key
from tests.inference.conftest import Site


def test_the_command_becomes_the_executor(
    site: Site, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(os, "execv", lambda program, command: seen.append((program, command)))
    call_command("executor")
    ((program, command),) = seen
    assert program == sys.executable
    assert command[1:3] == ["-m", "inference.executor"]
    options = parse(command[3:])
    assert (options.socket, options.origin) == (settings.EXECUTOR_SOCKET, settings.LEDGER_ORIGIN)
    assert options.slots == settings.EXECUTOR_SLOTS
    assert options.log_vkey.startswith("localhost+")


def test_registering_twice_is_once(site: Site) -> None:
    for _ in range(2):
        out = StringIO()
        call_command("register_executor", stdout=out)
        assert out.getvalue().strip() == site.executor_key
    (key,) = Key.objects.filter(role=KeyRole.EXECUTOR)
    assert (key.owner, key.name) == (None, "test")


def test_an_executor_that_is_away_cannot_be_registered(site: Site, settings: Any) -> None:
    settings.EXECUTOR_SOCKET = settings.DATA / "nobody.sock"
    with pytest.raises(CommandError, match="did not answer"):
        call_command("register_executor")


def test_ids_sort_by_time_and_are_version_seven() -> None:
    before = time.time_ns() // 1_000_000
    first = uuid7()
    time.sleep(0.002)
    second = uuid7()
    assert (first.version, first.variant) == (7, "specified in RFC 4122")
    assert first < second
    assert before <= first.int >> 80 <= time.time_ns() // 1_000_000
    assert len({uuid7() for _ in range(1_000)}) == 1_000


def test_the_end_states_are_the_other_four() -> None:
    assert set(ExecutionState) - set(TERMINAL) == {ExecutionState.QUEUED, ExecutionState.RUNNING}


def test_rows_are_called_by_their_keys() -> None:
    assert str(Tensors(sha256="ab")) == "ab"
    row = Execution()
    assert str(row) == str(row.pk)
