"""A synchronous caller who hangs up stops the run, where the web server can know of it.

gunicorn's threads give each request its connection, so the end of it is seen while the model runs.
Behind a proxy it is the proxy's connection: a proxy that closes it when its own client leaves, as
nginx does, passes the news on.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from config.stack import free_port
from inference.models import Execution
from registry.models import ApiToken
from tests.inference.builders import publish
from tests.inference.conftest import Site
from tests.inference.executor.models import add, endless
from tests.inference.executor.running import wait_until
from tests.people import Person

BODY = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1.0]}]}
SERVER = """
import pathlib, select
def application(environ, start):
    connection = environ["gunicorn.socket"]
    poller = select.poll()
    poller.register(connection, select.POLLRDHUP)
    pathlib.Path("PLACE/asked").touch()
    seen = poller.poll(20_000)
    pathlib.Path("PLACE/seen").write_text(str(bool(seen)))
    start("200 OK", [("Content-Length", "0")])
    return [b""]
"""


@pytest.fixture
def visitor() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The two ends of a connection: the visitor's, and the one that the web server holds."""
    outside, inside = socket.socketpair()
    yield outside, inside
    outside.close()
    inside.close()


def served_over(connection: socket.socket) -> dict[str, Any]:
    """What gunicorn adds to the environment of a request."""
    return {"gunicorn.socket": connection}


def hang_up_while_it_runs(site: Site, outside: socket.socket) -> threading.Thread:
    client = site.running.client()

    def leave() -> None:
        wait_until(lambda: client.status().kinds["portable"]["free"] == 1)
        outside.close()

    thread = threading.Thread(target=leave)
    thread.start()
    return thread


def free(site: Site) -> bool:
    return site.running.client().status().kinds["portable"]["free"] == 2


def test_a_caller_who_hangs_up_stops_the_run_and_nothing_is_written(
    site: Site, alice: Person, client: Client, visitor: tuple[socket.socket, socket.socket]
) -> None:
    publish(alice, "endless", endless())
    wait_until(lambda: free(site))
    leaving = hang_up_while_it_runs(site, visitor[0])
    answer = client.post(
        "/v2/models/alice/endless/infer",
        json.dumps(BODY),
        content_type="application/json",
        **served_over(visitor[1]),
    )
    leaving.join()
    assert (answer.status_code, answer.json()["code"]) == (499, "caller_gone")
    assert not Execution.objects.exists()
    wait_until(lambda: free(site))


def test_a_caller_with_a_key_who_hangs_up_may_use_it_again(
    site: Site, alice: Person, client: Client, visitor: tuple[socket.socket, socket.socket]
) -> None:
    publish(alice, "endless", endless())
    _, token = ApiToken.objects.create(user=alice.user, scope="write")
    wait_until(lambda: free(site))
    leaving = hang_up_while_it_runs(site, visitor[0])
    answer = client.post(
        "/v2/models/alice/endless/infer",
        json.dumps(BODY),
        content_type="application/json",
        headers={"Idempotency-Key": "once", "Authorization": f"Bearer {token}"},
        **served_over(visitor[1]),
    )
    leaving.join()
    assert answer.status_code == 499
    row = Execution.objects.get()
    assert (row.state, row.error_code, row.idempotency_key) == ("failed", "caller_gone", None)


def test_a_caller_who_sends_more_while_waiting_has_not_hung_up(
    site: Site, alice: Person, client: Client, visitor: tuple[socket.socket, socket.socket]
) -> None:
    publish(alice, "add", add())
    visitor[0].sendall(b"GET /v2 HTTP/1.1\r\n\r\n")  # the next request of the same connection
    answer = client.post(
        "/v2/models/alice/add/infer",
        json.dumps(BODY),
        content_type="application/json",
        **served_over(visitor[1]),
    )
    assert answer.status_code == 200


def test_gunicorns_threads_see_that_a_caller_hangs_up(tmp_path: Path) -> None:
    (tmp_path / "served.py").write_text(SERVER.replace("PLACE", str(tmp_path)))
    port = free_port(None)
    command = [
        *(sys.executable, "-m", "gunicorn", "served:application", "--worker-class", "gthread"),
        *("--threads", "2", "--bind", f"127.0.0.1:{port}", "--no-control-socket"),
        *("--log-level", "error", "--graceful-timeout", "1"),
    ]
    server = subprocess.Popen(command, cwd=tmp_path)
    try:
        wait_until(lambda: listens(port), server)
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            wait_until((tmp_path / "asked").exists, server)
            assert not (tmp_path / "seen").exists()
        wait_until((tmp_path / "seen").exists, server, limit_s=15)
        wait_until(lambda: (tmp_path / "seen").read_text() == "True", server)
    finally:
        server.terminate()
        server.wait(20)


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True
