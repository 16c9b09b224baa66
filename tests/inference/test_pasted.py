"""The receipt of an execution, pasted into a search box, leads to the execution."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from assay.dsse import compact
from assay.statements import EXECUTION, Statement, Subject
from inference.models import Execution
from inference.services.run import infer
from ledger import services as ledger
from registry.choices import Visibility
from tests.inference.builders import fp32, plan, publish
from tests.inference.conftest import Site
from tests.inference.executor.models import add
from tests.ledger.builders import sequence, signed
from tests.people import Person


@pytest.fixture
def ran(site: Site, alice: Person) -> Execution:
    publish(alice, "add", add())
    row: Execution = infer(plan("alice/add", [fp32("x", 2.5)], alice.user)).execution
    sequence()
    return row


def paste(client: Client, text: str) -> str:
    answer = client.post("/search/", {"q": text})
    assert answer.status_code == 302
    return str(answer["Location"])


def test_every_form_of_a_receipt_leads_to_its_execution(ran: Execution, client: Client) -> None:
    bundle = client.get(f"/executions/{ran.pk}/receipt").content.decode()
    answer = {"model_name": "alice--add", "parameters": {"receipt": ran.receipt}, "outputs": []}
    for text in (bundle, ran.receipt, json.dumps(answer), json.dumps({"receipt": ran.receipt})):
        assert paste(client, text) == f"/executions/{ran.pk}/"


def test_a_stranger_gets_the_entry_where_the_model_is_private(
    ran: Execution, alice: Person, client: Client
) -> None:
    publish(alice, "secret", add(), visibility=Visibility.PRIVATE)
    row = infer(plan("alice/secret", [fp32("x", 1.0)], alice.user)).execution
    sequence()
    index = ledger.entry_status(int(row.entry_id or 0)).index
    assert paste(client, row.receipt) == f"/ledger/{index}/"
    client.force_login(alice.user, backend="django.contrib.auth.backends.ModelBackend")
    assert paste(client, row.receipt) == f"/executions/{row.pk}/"


def test_what_only_calls_itself_an_execution_leads_to_its_entry(
    ran: Execution, client: Client
) -> None:
    statement = Statement(
        subjects=(Subject(name="output.tensors", sha256="0" * 64),),
        predicate_type=EXECUTION,
        predicate={"execution": "../../accounts/logout"},
    )
    lie = signed(statement, by="mallory")
    entry = lie.append(model="alice/add")
    assert paste(client, compact(lie.envelope)) == f"/ledger/pending/{entry}/"
