"""The first page shows the newest answer that anybody may check, and no other."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from inference import selectors
from inference.models import Execution
from inference.services.run import infer
from inference.services.submit import submit
from registry.choices import Visibility
from tests.inference.builders import fp32, plan, publish
from tests.inference.conftest import Site
from tests.inference.executor.models import add
from tests.ledger.builders import sequence
from tests.pages.html import faults, parse
from tests.people import Person


def run(name: str, value: float, user: Any = None, **wishes: Any) -> Execution:
    row: Execution = infer(plan(name, [fp32("x", value)], user, **wishes)).execution
    sequence()
    return row


@pytest.fixture
def shown(site: Site, alice: Person) -> Execution:
    publish(alice, "add", add())
    return run("alice/add", 2.5)


def example(client: Client) -> Any:
    answer = client.get("/")
    assert answer.status_code == 200
    assert faults(parse(answer.content.decode())) == []
    return answer.context["execution"]


def test_it_shows_the_newest_answer_with_its_evidence(shown: Execution, client: Client) -> None:
    assert example(client).pk == shown.pk
    text = " ".join(client.get("/").content.decode().split())
    for words in (
        *("[3.5]", str(shown.output_id)[:8], f"/executions/{shown.pk}/receipt?wait=10"),
        *("assay verify receipt --blob output.tensors", 'data-evidence="consistency"'),
        *(f'href="/executions/{shown.pk}/#output"', f'href="/executions/{shown.pk}/#verify"'),
    ):
        assert words in text, words


def test_the_links_of_the_evidence_stay_on_the_executions_own_page(
    shown: Execution, client: Client
) -> None:
    assert 'href="#output"' in client.get(f"/executions/{shown.pk}/").content.decode()


def test_it_shows_no_private_answer_not_even_to_its_caller(
    shown: Execution, alice: Person, client: Client
) -> None:
    run("alice/add", 7.0, alice.user, private=True)
    publish(alice, "secret", add(), visibility=Visibility.PRIVATE)
    run("alice/secret", 8.0, alice.user)
    client.force_login(alice.user, backend="django.contrib.auth.backends.ModelBackend")
    for reader in (client, Client()):
        assert example(reader).pk == shown.pk


def test_it_shows_nothing_that_has_no_place_in_the_log_yet(
    site: Site, alice: Person, client: Client
) -> None:
    publish(alice, "add", add())
    assert example(client) is None
    submit(plan("alice/add", [fp32("x", 1)], alice.user))
    infer(plan("alice/add", [fp32("x", 2)]))
    assert example(client) is None
    assert "The newest answer" not in client.get("/").content.decode()


def test_an_answer_whose_tensors_are_gone_is_no_example(shown: Execution, client: Client) -> None:
    Execution.objects.filter(pk=shown.pk).update(dropped_at=timezone.now())
    assert example(client) is None


def test_it_looks_at_the_newest_only(shown: Execution, alice: Person) -> None:
    run("alice/add", 7.0, alice.user, private=True)
    assert selectors.newest_example(looked_at=1) is None
    assert selectors.newest_example(looked_at=2) == shown


def test_the_first_page_asks_the_database_little(
    shown: Execution, alice: Person, client: Client
) -> None:
    client.force_login(alice.user, backend="django.contrib.auth.backends.ModelBackend")
    with CaptureQueriesContext(connection) as queries:
        client.get("/")
    assert len(queries) <= 11, [query["sql"][:90] for query in queries.captured_queries]
