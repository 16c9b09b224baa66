from __future__ import annotations

from collections.abc import Iterator

import pytest

from inference.client import ExecutorClient
from tests.inference.executor.running import Running, start_supervisor


@pytest.fixture(scope="session")
def supervisor() -> Iterator[Running]:
    running = start_supervisor(arguments=["--trial-seconds", "1.5"])
    yield running
    assert running.stop() == 0


@pytest.fixture
def client(supervisor: Running) -> Iterator[ExecutorClient]:
    connected = supervisor.client()
    yield connected
    connected.close()
