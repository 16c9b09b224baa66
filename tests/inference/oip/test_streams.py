"""Server-sent events as gunicorn serves them: each event leaves at once, and places are few."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator

import pytest
from django.conf import settings

from inference import tasks
from tests.inference.oip.test_http import X
from tests.inference.oip.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def clients(served: World) -> Iterator[list[http.client.HTTPConnection]]:
    """A connection for each stream that a process sends, and one more."""
    count = settings.EVENT_STREAMS + 1
    opened = [
        http.client.HTTPConnection(served.host, served.port, timeout=30) for _ in range(count)
    ]
    yield opened
    for client in opened:
        client.close()


def follow(client: http.client.HTTPConnection, url: str) -> http.client.HTTPResponse:
    client.request("GET", f"{url}/events", headers={"Accept": "text/event-stream"})
    return client.getresponse()


def line(answer: http.client.HTTPResponse) -> str:
    return answer.readline().decode().strip()


def test_events_arrive_while_the_answer_goes_on_and_the_next_is_told_to_poll(
    served: World, clients: list[http.client.HTTPConnection]
) -> None:
    body = json.dumps({"model": "alice/add", "inputs": [X]})
    kind = {"Content-Type": "application/json", "Prefer": "respond-async"}
    clients[0].request("POST", "/api/v1/executions", body=body, headers=kind)
    accepted = clients[0].getresponse()
    url = json.loads(accepted.read())["url"]
    assert (accepted.status, accepted.headers["Preference-Applied"]) == (202, "respond-async")
    streams = [follow(client, url) for client in clients[:-1]]
    for stream in streams:
        assert stream.status == 200
        assert line(stream) == "retry: 2000"  # it is here, and the execution is queued
    refused = follow(clients[-1], url)
    assert refused.status == 503
    assert "poll instead" in json.loads(refused.read())["error"]["message"]
    served.commit(tasks.drain)
    for stream in streams:
        told = stream.read().decode()  # to its end
        assert told.count("event: completed\n") == 1
        assert '"state":"succeeded"' in told
    # Their places are free again.
    clients[-1].request("GET", f"{url}/events", headers={"Last-Event-ID": "completed"})
    assert clients[-1].getresponse().status == 204
