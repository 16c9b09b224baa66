"""The OpenAPI document is true: what it generates is answered as it says, and never by a fault.

schemathesis makes requests from the document, the same ones in every run, and hands them to the
WSGI application in this process. Every second one is about things that are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, given, settings as examples
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.permissions.conftest import scene
from tests.permissions.scene import Scene

__all__ = ["scene"]

DOCUMENT = "/api/v1/openapi.json"
EXAMPLES = 10
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture
def site(scene: Scene) -> Iterator[Scene]:
    """The scene, on the connection whose transaction the test is in: requests leave it open."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield scene
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def things(scene: Scene) -> dict[str, Any]:
    """Return what the parameters of paths may name; of batches none: theirs wait for a worker."""
    places = scene.places
    return {
        "owner": "acme",
        "name": "open",
        "revision": places["open_draft"],
        "version": "1.0.0",
        "alias": "production",
        "number": 1,
        "export": "bom.cdx.json",
        "person": "dora",
        "member": "bob",
        "fingerprint": places["key"],
        "digest": places["token"],
        "upload_id": places["upload"],
        "action_number": 1,
        "transfer_id": int(places["offered"]),
        "publisher_id": int(places["open_publisher"]),
        "execution": places["run"],
        "trace": places["run_trace"],
        "webhook": places["webhook"],
        "delivery_id": places["delivery"],
        "schedule": places["schedule"],
        "index": 0,
    }


@pytest.mark.property
@pytest.mark.parametrize(("caller", "least"), [("anonymous", 30), ("alice", 60)])
def test_schemathesis_finds_nothing(caller: str, least: int, site: Scene) -> None:
    schema = schemathesis.openapi.from_wsgi(DOCUMENT, get_wsgi_application())
    headers = {"Authorization": f"Bearer {site.tokens[caller]}"} if caller in site.tokens else {}
    known, found, went_well = things(site), dict[str, str](), set[str]()
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        try_out(result.ok(), headers, known, found, went_well)
    assert len(went_well) >= least, sorted(went_well)  # else only refusals were looked at
    assert not found, "\n\n".join(["", *found.values()])


def try_out(
    operation: Any,
    headers: dict[str, str],
    known: dict[str, Any],
    found: dict[str, str],
    went_well: set[str],
) -> None:
    """Make some requests of one operation; put what is wrong with an answer into `found`."""
    turns = count()

    @examples(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        if next(turns) % 2 == 0:
            case.path_parameters = {
                name: known.get(name, value) for name, value in (case.path_parameters or {}).items()
            }
        case.cookies.clear()  # who asks is said here alone
        case.headers.pop("Authorization", None)
        with transaction.atomic():
            answer = case.call(headers=headers)
            transaction.set_rollback(True)
        if answer.status_code < 300:
            went_well.add(operation.label)
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as group:
            for one in group.exceptions:
                key = f"{operation.label}: {type(one).__name__} {answer.status_code}"
                found.setdefault(key, f"{key}\n{case.as_curl_command()}\n{one}")

    ask()
