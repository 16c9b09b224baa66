"""`/v2` as gunicorn serves it: chunked bodies, kept connections, callers who hang up."""

from __future__ import annotations

import contextlib
import http.client
import json

import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from inference.client import ExecutorClient
from inference.models import Execution
from tests.inference.executor.running import wait_until
from tests.inference.oip.stock import equal, floats, given
from tests.inference.oip.test_http import one, refused
from tests.inference.oip.world import Answer, World

pytestmark = [pytest.mark.django_db, pytest.mark.stock]
CLIENTS = 50


def test_a_real_server_refuses_a_chunked_body_too(served: World) -> None:
    client = http.client.HTTPConnection(served.host, served.port, timeout=30)
    whole = json.dumps(one(1)).encode()
    try:
        client.request(
            "POST",
            "/v2/models/alice/add/infer",
            body=iter([whole[:10], whole[10:]]),
            headers={"Transfer-Encoding": "chunked"},
            encode_chunked=True,
        )
        answer = client.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        found = Answer(status=answer.status, headers=headers, body=answer.read())
    finally:
        client.close()
    refused(found, 411, "length_required")


def test_fifty_clients_in_parallel_keep_their_connections(served: World) -> None:
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(triton.InferenceServerClient(served.address))
            for _ in range(CLIENTS)
        ]
        assert all(client.get_server_metadata() for client in clients)
        opened = [connections(client) for client in clients]
        assert [len(found) for found in opened] == [1] * CLIENTS
        for _ in range(2):
            asked = [
                client.async_infer("alice/add", [given(floats(number))])
                for number, client in enumerate(clients)
            ]
            right = [is_right(number, request) for number, request in enumerate(asked)]
            assert sum(right) > 0
            # A connection that the server had closed would have been replaced.
            assert [connections(client) for client in clients] == opened


def connections(client: triton.InferenceServerClient) -> list[object]:
    """Return the connections that a client keeps."""
    return list(client._client_stub._connection_pool._socket_queue.queue)


def is_right(number: int, request: triton.InferAsyncRequest) -> bool:
    """Whether the answer is number + 1; False when nobody had the time to run it."""
    try:
        result = request.get_result()
    except InferenceServerException as error:
        if error.status() != "503":
            raise
        return False
    assert equal(result.as_numpy("y"), floats(number + 1))
    return True


def test_who_hangs_up_has_the_run_stopped_and_nothing_is_written(served: World) -> None:
    before = Execution.objects.count()
    client = http.client.HTTPConnection(served.host, served.port, timeout=30)
    executor = ExecutorClient(served.settings["EXECUTOR_SOCKET"])
    try:
        wait_until(lambda: free(executor) == 2)
        client.request("POST", "/v2/models/alice/endless/infer", json.dumps(one(1)))
        wait_until(lambda: free(executor) == 1)
        client.close()
        wait_until(lambda: free(executor) == 2)
    finally:
        client.close()
        executor.close()
    assert served.infer("alice/add", one(1)).status == 200
    assert Execution.objects.count() == before + 1


def free(executor: ExecutorClient) -> int:
    """Return how many model processes of the portable kind are idle."""
    return int(executor.status().kinds["portable"]["free"])
