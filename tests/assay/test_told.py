"""What is told to end hears it, whatever it does at that moment."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import pytest

from assay.told import Told, until_told


@pytest.fixture
def told() -> Iterator[Told]:
    before = signal.getsignal(signal.SIGUSR1)
    made = Told()
    signal.signal(signal.SIGUSR1, lambda *_: made.set())
    yield made
    signal.signal(signal.SIGUSR1, before)


def test_nobody_told_it_so_far(told: Told) -> None:
    assert not told.is_set()
    assert not told.wait(0)
    assert not told.wait(-1.0)


def test_it_may_be_told_between_any_two_steps_of_the_thread_that_waits() -> None:
    """As a signal handler would; `threading.Event` waits for itself for ever then."""
    lines = told_at(10_000)
    assert lines >= 4
    for line in range(lines - 1):  # before the last one it has heard of it already
        assert told_at(line) > line


def told_at(moment: int) -> int:
    """Wait in a thread, telling it before its line number `moment`; return how many lines ran."""
    event, ran = Told(), [0]

    def trace(frame: FrameType, kind: str, _: object) -> Any:
        if frame.f_code is not Told.wait.__code__:
            return None
        if kind == "line":
            if ran[0] == moment:
                event.set()
            ran[0] += 1
        return trace

    def wait() -> bool:
        sys.settrace(trace)
        try:
            return event.wait(0 if moment == 10_000 else 30)
        finally:
            sys.settrace(None)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(wait).result(30) is (moment != 10_000)
    return ran[0]


def test_a_signal_that_interrupted_nothing_is_heard_at_the_next_look(told: Told) -> None:
    """Its handler has not run when the wait begins: no byte is in the pipe."""
    late = threading.Timer(0.05, setattr, (told, "_told", True))
    late.start()
    assert told.wait(30)
    late.join()


def test_a_signal_ends_the_wait(told: Told) -> None:
    waiting = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
    waiting.start()
    assert told.wait(30)
    waiting.join()


def test_what_was_told_before_needs_no_wait(told: Told) -> None:
    os.kill(os.getpid(), signal.SIGUSR1)
    assert told.wait()
    assert told.wait(0)


def test_a_patient_process_survives_a_second_signal_and_another_one_does_not() -> None:
    ends = {}
    for patient in (True, False):
        with until_told(signal.SIGHUP, patient=patient) as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.wait(30)
            ends[patient] = signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    assert ends == {True: False, False: True}


def test_signals_mean_afterwards_what_they_meant_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with until_told() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(30)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_all_threads_that_wait_hear_it(told: Told) -> None:
    heard: list[bool] = []
    threads = [threading.Thread(target=lambda: heard.append(told.wait(30))) for _ in range(4)]
    for thread in threads:
        thread.start()
    told.set()
    for thread in threads:
        thread.join()
    assert heard == [True] * 4


def test_telling_it_very_often_blocks_nobody(told: Told) -> None:
    for _ in range(70_000):  # a pipe holds 64 KiB
        told.set()
    assert told.wait(0)


def test_what_was_told_is_never_taken_back(told: Told) -> None:
    with pytest.raises(RuntimeError, match="stays told"):
        told.clear()


def test_it_leaves_no_descriptor_behind() -> None:
    made = Told()
    reader = made._reader
    os.fstat(reader)
    del made
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(reader)
