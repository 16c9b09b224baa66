"""What is told to end hears it, whatever it does at that moment."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from assay.told import Told


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


def test_a_signal_ends_the_wait_wherever_it_comes(told: Told) -> None:
    me = os.getpid()
    for delay in range(20):
        again = Told()
        signal.signal(signal.SIGUSR1, lambda *_, it=again: it.set())
        timer = threading.Timer(delay / 1000, os.kill, (me, signal.SIGUSR1))
        timer.start()
        assert again.wait(30)
        timer.join()
        assert again.is_set()


def test_a_handler_may_tell_it_in_the_middle_of_a_wait_of_the_same_thread(told: Told) -> None:
    os.kill(os.getpid(), signal.SIGUSR1)
    assert told.wait()
    assert told.wait(0)


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
