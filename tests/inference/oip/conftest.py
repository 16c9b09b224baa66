from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from pytest_django import DjangoDbBlocker, Settings

from tests.inference.executor.running import Running
from tests.inference.oip.served import serve
from tests.inference.oip.world import World, world
from tests.interop.kserve.stranger import KServe, is_installed


@pytest.fixture(scope="module")
def site_of_module(
    running: Running,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[World]:
    root = tmp_path_factory.mktemp("world")
    with django_db_blocker.unblock(), world(root, running) as made:
        yield made


@pytest.fixture
def live(site_of_module: World, settings: Settings) -> World:
    """The module's world; the folders that each test gets for itself are put aside."""
    for name, value in site_of_module.settings.items():
        setattr(settings, name, value)
    return site_of_module


@pytest.fixture(scope="module")
def kserve(site_of_module: World) -> Iterator[KServe]:
    """KServe's own client, in an environment of its own."""
    if not is_installed():
        pytest.skip("no KServe on this machine: .ci/run installs it")
    client = KServe(site_of_module.address)
    yield client
    client.close()


@pytest.fixture(scope="module")
def server_of_module(site_of_module: World) -> Iterator[World]:
    with serve(site_of_module) as port:
        yield replace(site_of_module, port=port)


@pytest.fixture
def served(live: World, server_of_module: World) -> World:
    """The module's world, served by the real web server as a process of its own."""
    return server_of_module
