from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import DjangoDbBlocker, Settings

from tests.inference.executor.running import Running
from tests.inference.oip.world import World, world


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
