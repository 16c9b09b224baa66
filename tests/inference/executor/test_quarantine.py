"""What ends its processes is kept out for a while, alone, and its publisher can learn why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from inference.client import ExecutorError
from inference.executor.limits import DEATHS_WINDOW_S, REFUSED_S
from inference.executor.protocol import RefusalError
from inference.executor.quarantine import Quarantine
from tests.inference.executor.models import Revision, add, floats
from tests.inference.executor.running import Running, start_liar, start_supervisor

NO_MODEL = RefusalError("load_failed", "no model")


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_the_third_death_within_ten_minutes_keeps_a_model_out_and_no_other() -> None:
    clock = Clock()
    quarantine = Quarantine(clock)
    for _ in range(2):
        quarantine.died("bad", "it broke off")
        quarantine.check("bad")
        clock.now += 60
    quarantine.died("bad", "it did not answer in time")
    with pytest.raises(RefusalError, match="3 times within 10 minutes, at last because it did not"):
        quarantine.check("bad")
    quarantine.check("good")
    (item,) = quarantine.listed(now=5_000.0)
    assert (item["key"], item["until"]) == ("bad", 5_000.0 + DEATHS_WINDOW_S - 120)
    assert "it did not answer in time" in item["reason"]


def test_it_comes_back_when_the_deaths_are_old() -> None:
    clock = Clock()
    quarantine = Quarantine(clock)
    for _ in range(3):
        quarantine.died("bad", "it broke off")
    clock.now += DEATHS_WINDOW_S - 1
    assert len(quarantine.listed(0)) == 1
    clock.now += 1
    quarantine.check("bad")
    assert quarantine.listed(0) == []
    quarantine.died("bad", "it broke off")  # one fresh death is not three
    quarantine.check("bad")


def test_mallorys_thousand_models_do_not_fill_the_memory_of_it() -> None:
    quarantine = Quarantine(Clock())
    for number in range(1_000):
        quarantine.died(f"model {number}", "it broke off")
        quarantine.load_refused(f"model {number}", NO_MODEL)
    assert len(quarantine.unrunnable()) == len(quarantine._deaths) == 256
    assert quarantine.unrunnable()[-1] == {"key": "model 999", "reason": "no model"}


def test_what_loads_again_is_forgotten() -> None:
    quarantine = Quarantine(Clock())
    quarantine.load_refused("model", NO_MODEL)
    quarantine.loaded("model")
    quarantine.loaded("another")
    assert quarantine.unrunnable() == []


def test_what_did_not_load_is_refused_for_a_minute_and_then_tried_again() -> None:
    clock = Clock()
    quarantine = Quarantine(clock)
    clock.now = 0.0  # a machine that has just started
    quarantine.check("bad")
    quarantine.load_refused("bad", NO_MODEL)
    clock.now += REFUSED_S - 1
    with pytest.raises(RefusalError, match="no model") as caught:
        quarantine.check("bad")
    assert (caught.value.code, caught.value.retry) == ("load_failed", False)
    quarantine.check("good")
    clock.now += 1
    quarantine.check("bad")
    assert len(quarantine.unrunnable()) == 1


def test_a_model_that_does_not_load_is_listed_with_the_words_of_the_runtime() -> None:
    running = start_supervisor(arguments=["--slots", "1"])
    client, bad, good = running.client(), Revision.of(b"no model"), Revision.of(add())
    with pytest.raises(ExecutorError) as caught:
        client.load(bad.target, bad.read)
    assert caught.value.code == "load_failed"
    client.load(good.target, good.read)
    (item,) = client.status().unrunnable
    assert (item["key"], item["kind"]) == (bad.target.key, "portable")
    assert item["reason"] == caught.value.message
    assert client.status().counters["failures"] == {"load_failed": 1}
    running.stop()


@pytest.fixture
def hurried(tmp_path: Path) -> Iterator[Running]:
    """A supervisor whose model processes do not stop when they are asked to."""
    running = start_liar(tmp_path)
    yield running
    running.stop()


def test_a_hurried_caller_does_not_get_an_honest_model_quarantined(hurried: Running) -> None:
    client, note = hurried.client(), hurried.log.checkpoint()
    slow = Revision.of(b"silence")
    for _ in range(4):
        asked = slow.request(note, outputs=("silence",), deadline_s=0.05, slot_wait_s=15)
        with pytest.raises(ExecutorError) as caught:
            client.infer(asked, slow.read)
        assert caught.value.code == "deadline"
    status = client.status()
    assert (status.quarantined, status.counters["deaths"]) == ((), 4)
    assert (
        floats("honest", 1)
        in client.infer(slow.request(note, outputs=("honest",), slot_wait_s=15), slow.read).outputs
    )


def test_what_ended_a_process_does_not_end_its_neighbours_next(tmp_path: Path) -> None:
    running = start_liar(tmp_path, slots=2)
    client, note = running.client(), running.log.checkpoint()
    good, bad = Revision.of(b"honest"), Revision.of(b"exit")
    asked = good.request(note, outputs=("honest",), slot_wait_s=20)
    client.infer(asked, good.read)
    (pid,) = (one["pid"] for one in client.status().processes if one["models"])
    with pytest.raises(ExecutorError) as caught:
        client.infer(bad.request(note, outputs=("exit",), slot_wait_s=20), bad.read)
    assert caught.value.code == "unavailable"
    assert client.status().counters["deaths"] == 2
    assert pid in running.children()
    assert not client.infer(asked, good.read).cold
    running.stop()


def test_where_every_process_is_in_use_a_suspect_gets_one_for_itself(tmp_path: Path) -> None:
    running = start_liar(tmp_path)
    client, note = running.client(), running.log.checkpoint()
    good, bad = Revision.of(b"honest"), Revision.of(b"exit")
    with pytest.raises(ExecutorError):
        client.infer(bad.request(note, outputs=("exit",), slot_wait_s=20), bad.read)
    asked = good.request(note, outputs=("honest",), slot_wait_s=20)
    client.infer(asked, good.read)
    client.infer(bad.request(note, outputs=("honest",), slot_wait_s=20), bad.read)
    assert client.status().models == (bad.target.key,)
    assert client.status().counters["evictions"] == 1
    running.stop()
