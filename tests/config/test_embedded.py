"""PostgreSQL and Redis from wheels: made whole or made again, and only ours."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from config.embedded import EmbeddedError, Postgres, Redis, child_environment, run_dir


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline
        os.sched_yield()


@pytest.fixture
def sockets(tmp_path: Path) -> Iterator[Path]:
    folder = run_dir(tmp_path)
    yield folder
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


@pytest.fixture
def postgres(tmp_path: Path, sockets: Path) -> Postgres:
    made = Postgres(data=tmp_path / "postgres", sockets=sockets)
    made.prepare()
    return made


Start = Callable[[list[str]], subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a server; whatever still runs at the end is killed."""
    servers: list[subprocess.Popen[bytes]] = []

    def run(command: list[str]) -> subprocess.Popen[bytes]:
        quiet = subprocess.DEVNULL
        servers.append(subprocess.Popen(command, cwd="/", stdout=quiet, stderr=quiet))
        return servers[-1]

    yield run
    for server in servers:
        server.kill()
        server.wait()


def test_a_killed_server_comes_back_with_what_was_committed(
    postgres: Postgres, start: Start
) -> None:
    server = start(postgres.command())
    until(postgres.answers)
    postgres.create_database()
    postgres.create_database()
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    server.kill()
    server.wait()
    again = [start(postgres.command())]

    def back() -> bool:
        # Its orphaned children may hold the memory for a moment; the supervisor tries again too.
        if again[0].poll() is not None:
            again[0] = start(postgres.command())
        return postgres.answers()

    until(back)
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    postgres.stop_leftover()
    assert again[0].wait(20) == 0
    assert not postgres.answers()


def test_nothing_is_left_over_when_nothing_runs(postgres: Postgres) -> None:
    postgres.stop_leftover()
    (postgres.data / "postmaster.pid").write_text(f"{os.getpid()}\n")
    postgres.stop_leftover()  # the number is ours, the server is not: nobody is stopped


def test_a_cluster_that_was_half_made_is_made_again(tmp_path: Path, sockets: Path) -> None:
    half = tmp_path / "postgres.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    made = Postgres(data=tmp_path / "postgres", sockets=sockets)
    made.prepare()
    made.prepare()
    assert (made.data / "base").is_dir()
    assert not half.exists()


def test_redis_answers_on_its_socket_and_stops(sockets: Path, start: Start) -> None:
    redis = Redis(sockets=sockets)
    assert not redis.answers()
    server = start(redis.command())
    until(redis.answers)
    assert redis.broker_url == f"redis+socket://{sockets}/redis.sock"
    server.send_signal(signal.SIGTERM)
    assert server.wait(20) == 0


def test_a_folder_for_sockets_that_others_may_enter_is_refused(
    tmp_path: Path, sockets: Path
) -> None:
    sockets.chmod(0o755)
    with pytest.raises(EmbeddedError, match="not ours alone"):
        run_dir(tmp_path)
    sockets.chmod(0o700)


def test_children_share_the_data_folder(tmp_path: Path) -> None:
    assert child_environment(tmp_path)["DATA"] == str(tmp_path)
