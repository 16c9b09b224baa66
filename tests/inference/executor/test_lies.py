"""A model process is a stranger: whatever it answers is checked before anything is signed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from inference.client import ExecutorError
from tests.inference.executor.models import Revision, floats
from tests.inference.executor.running import Running, start_liar

FORMS = ["name", "datatype", "shape", "negative", "huge", "size", "tail", "none", "more"]
BREAKS = ["extra", "form", "array", "garbage", "long", "exit"]


@pytest.fixture(scope="module")
def liar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = start_liar(tmp_path_factory.mktemp("liar"))
    yield running
    running.stop()


def test_an_honest_answer_passes(liar: Running) -> None:
    revision = Revision.of(b"honest")
    asked = revision.request(liar.log.checkpoint(), outputs=("honest",), slot_wait_s=15)
    assert liar.client().infer(asked, revision.read).outputs == (floats("honest", 1),)


@pytest.mark.parametrize("lie", FORMS + BREAKS)
def test_a_lie_is_caught_and_nothing_is_signed(liar: Running, lie: str) -> None:
    revision = Revision.of(lie.encode())
    asked = revision.request(liar.log.checkpoint(), outputs=(lie,), slot_wait_s=15)
    with pytest.raises(ExecutorError, match="the model process ended") as caught:
        liar.client().infer(asked, revision.read)
    assert (caught.value.code, caught.value.retry) == ("unavailable", True)


def test_silence_ends_half_a_second_after_the_deadline(liar: Running) -> None:
    revision = Revision.of(b"silence")
    asked = revision.request(
        liar.log.checkpoint(), outputs=("silence",), deadline_s=0.3, slot_wait_s=15
    )
    with pytest.raises(ExecutorError) as caught:
        liar.client().infer(asked, revision.read)
    assert caught.value.code == "deadline"
