"""One running site for the whole folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kill.load import ask_all, mix
from tests.kill.mend import mending, wait_quiet
from tests.kill.site import Site

FEW = 20


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kill-executions", type=int, default=FEW, help="requests in each cell of the kill matrix"
    )


@pytest.fixture(scope="session")
def executions(request: pytest.FixtureRequest) -> int:
    """How many requests a cell's load has."""
    return int(request.config.getoption("kill_executions", FEW))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    running = Site(data=tmp_path_factory.mktemp("site") / "data")
    try:
        running.start()
        with mending(running):  # a first load: every process has loaded what it needs
            ask_all(running, mix("warm", FEW))
            wait_quiet(running)
        yield running
    finally:
        running.close()
