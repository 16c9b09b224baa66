"""A site whose log the real executor believes: one supervisor for the session, a log per test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pytest_django import Settings

from inference.services import asking, plan
from inference.services.enrolment import enrol
from ledger import services as ledger
from tests.inference.executor.running import Running, TestLog, start_supervisor

LOG = TestLog(origin="localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """An open log, and an executor with a registered key."""

    running: Running
    executor_key: str


@pytest.fixture(scope="session")
def running() -> Iterator[Running]:
    """The supervisor of this session."""
    started = start_supervisor(
        log=LOG, arguments=["--load-seconds", "10", "--slots", "2", "--native-slots", "1"]
    )
    yield started
    asking._client(started.socket).close()
    assert started.stop() == 0


@pytest.fixture
def opened(settings: Settings) -> None:
    """An open log that is signed by the key in which the supervisor believes."""
    pem = LOG.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    settings.LEDGER_KEY.parent.mkdir(parents=True)
    settings.LEDGER_KEY.touch(mode=0o600)
    settings.LEDGER_KEY.write_bytes(pem)
    ledger.ensure_log()


@pytest.fixture
def site(db: None, opened: None, running: Running, settings: Settings) -> Site:
    """The whole, in a transaction that is rolled back."""
    return _site(running, settings)


@pytest.fixture
def committed(transactional_db: None, opened: None, running: Running, settings: Settings) -> Site:
    """The whole, committed: other threads and processes see it."""
    return _site(running, settings)


def _site(running: Running, settings: Settings) -> Site:
    settings.EXECUTOR_SOCKET = running.socket
    plan._signature.cache_clear()
    return Site(running=running, executor_key=enrol(name="test"))
