"""Pages and files of executions, and the Run tab without a script."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from django.test import Client

from inference.models import Execution
from inference.services import queue
from inference.services.request import Given
from inference.services.run import infer
from inference.services.submit import submit
from inference.shown import answer_words
from registry.choices import Visibility
from registry.models import Revision
from tests.flush import triggers_off
from tests.inference.builders import draft, fp32, identities, pairs, plan, publish
from tests.inference.conftest import Site
from tests.inference.executor.models import add
from tests.ledger.builders import sequence
from tests.people import PASSWORD, Person


@pytest.fixture
def ran(site: Site, alice: Person) -> Execution:
    publish(alice, "add", add())
    return infer(plan("alice/add", [fp32("x", 2.5)], alice.user)).execution


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_the_receipt_waits_for_the_log(ran: Execution, client: Client) -> None:
    address = f"/executions/{ran.pk}/receipt"
    assert code(client.get(address)) == (404, "not_included_yet")
    assert code(client.get(f"{address}?wait=-1")) == (400, "bad_request")
    sequence()
    answer = client.get(f"{address}?wait=1")
    assert answer["Content-Type"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert answer.json()["dsseEnvelope"]


def test_the_files_are_the_bytes_that_were_hashed(ran: Execution, client: Client) -> None:
    for name, digest in (("output", ran.output_id), ("input", ran.input_id)):
        answer = client.get(f"/executions/{ran.pk}/{name}.tensors")
        assert answer["ETag"] == f'"{digest}"'
        assert answer["Content-Type"] == "application/octet-stream"
        assert answer.getvalue().startswith(b"assay-tensors-v1\n")
        assert answer["Content-Disposition"] == f'attachment; filename="{name}.tensors"'
        assert "private" in answer["Cache-Control"]
        again = client.get(
            f"/executions/{ran.pk}/{name}.tensors", headers={"If-None-Match": answer["ETag"]}
        )
        assert again.status_code == 304
    statement = client.get(f"/executions/{ran.pk}/statement")
    assert statement.content.decode() == ran.receipt


def test_what_has_no_answer_has_no_receipt(site: Site, alice: Person, client: Client) -> None:
    publish(alice, "add", add())
    row = submit(plan("alice/add", [fp32("x", 1)], alice.user)).execution
    for name in ("receipt", "statement", "output.tensors"):
        assert code(client.get(f"/executions/{row.pk}/{name}")) == (404, "unknown_execution")
        assert code(client.get(f"/executions/{uuid.uuid4()}/{name}"))[0] == 404
    assert client.get(f"/executions/{row.pk}/input.tensors").status_code == 200
    assert "Queued" in client.get(f"/executions/{row.pk}/").content.decode()
    queue.cancel(row.pk, alice.user)
    assert "cancelled" in client.get(f"/executions/{row.pk}/").content.decode()


def test_the_page_shows_the_evidence(ran: Execution, client: Client) -> None:
    text = client.get(f"/executions/{ran.pk}/").content.decode()
    for words in ("waiting for a checkpoint", "3.5", str(ran.output_id), "urn:assay:execution:v1"):
        assert words in text
    assert f"/keys/{ran.executor}/key.pem" in text
    assert f"/executions/{ran.pk}/receipt?wait=10" in text
    sequence()
    assert "in checkpoint" in client.get(f"/executions/{ran.pk}/").content.decode()


def test_a_large_output_is_not_spread_over_the_page(
    site: Site, alice: Person, client: Client
) -> None:
    publish(alice, "big", identities(x="FP32"))
    row = infer(plan("alice/big", [fp32("x", *[0.0] * 10_000)])).execution
    assert "Too large to show" in client.get(f"/executions/{row.pk}/").content.decode()


def test_half_floats_have_no_decimal_form_here(site: Site, alice: Person, client: Client) -> None:
    publish(alice, "half", identities(x="FP16"))
    given = Given(name="x", datatype="FP16", shape=(1,), data=b"\x00\x3c")
    row = infer(plan("alice/half", [given])).execution
    assert "no decimal form" in client.get(f"/executions/{row.pk}/").content.decode()
    refused = client.post("/models/alice/half/run/", {"inputs": "[]"})
    assert refused.context["error"]["message"] == "Input 'x' is missing."


def test_lists_show_what_the_reader_may_know(
    ran: Execution, alice: Person, mallory: Person, client: Client
) -> None:
    publish(alice, "secret", add(), visibility=Visibility.PRIVATE)
    secret = infer(plan("alice/secret", [fp32("x", 1)], alice.user)).execution
    text = client.get("/executions/").content.decode()
    assert str(ran.pk) in text
    assert str(secret.pk) not in text
    assert str(ran.pk) in client.get("/models/alice/add/executions/").content.decode()
    infer(plan("alice/add", [fp32("x", 1)]))
    assert client.get("/executions/?mine=1").context["executions"] == []
    client.login(username="alice", password=PASSWORD)
    mine = client.get("/executions/?mine=1").context["executions"]
    assert [row.pk for row in mine] == [secret.pk, ran.pk]
    client.login(username="mallory", password=PASSWORD)
    for name in ("receipt", "output.tensors", "input.tensors", "statement"):
        assert client.get(f"/executions/{secret.pk}/{name}").status_code == 404


def test_who_asked_is_told_to_nobody_but_them(
    site: Site, alice: Person, mallory: Person, client: Client
) -> None:
    publish(alice, "add", add())
    ran = infer(plan("alice/add", [fp32("x", 1)], mallory.user)).execution
    client.login(username="alice", password=PASSWORD)
    text = client.get(f"/executions/{ran.pk}/").content.decode()
    assert ("<dd>somebody signed in</dd>" in text, "mallory" in text) == (True, False)
    client.login(username="mallory", password=PASSWORD)
    assert "<dd>you</dd>" in client.get(f"/executions/{ran.pk}/").content.decode()


# ------------------------------------------------------------------ the Run tab


def ask_in_session(browser: Client, model: str, version: str = "1.0.0") -> Any:
    """Ask as the script of the Run tab does."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [1], "data": [2.5]}
    browser.get(f"/models/{model}/run/")
    return browser.post(
        f"/models/{model}/run/{version}/infer",
        {"inputs": [tensor]},
        content_type="application/json",
        headers={"X-CSRFToken": browser.cookies["csrftoken"].value},
    )


def test_a_run_from_the_page_is_of_the_person_who_is_signed_in(site: Site, alice: Person) -> None:
    publish(alice, "add", add(), visibility=Visibility.PRIVATE)
    browser = Client(enforce_csrf_checks=True)
    assert browser.login(username="alice", password=PASSWORD)
    answer = ask_in_session(browser, "alice/add")
    assert answer.status_code == 200
    execution = Execution.objects.get(pk=answer["Assay-Execution"])
    assert execution.caller == alice.user
    assert answer.json()["parameters"]["receipt"] == execution.receipt
    assert str(execution.pk) in browser.get("/executions/?mine=1").content.decode()


def test_mallorys_page_cannot_run_with_alices_session(
    site: Site, alice: Person, mallory: Person
) -> None:
    publish(alice, "add", add(), visibility=Visibility.PRIVATE)
    forged = Client(enforce_csrf_checks=True)
    assert forged.login(username="alice", password=PASSWORD)
    answer = forged.post("/models/alice/add/run/1.0.0/infer", "{}", content_type="text/plain")
    assert answer.status_code == 403
    own = Client(enforce_csrf_checks=True)
    assert own.login(username="mallory", password=PASSWORD)
    own.get("/models/")
    own.cookies["csrftoken"] = own.get("/accounts/email/").cookies["csrftoken"].value
    answer = own.post(
        "/models/alice/add/run/1.0.0/infer",
        {"inputs": []},
        content_type="application/json",
        headers={"X-CSRFToken": own.cookies["csrftoken"].value},
    )
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_model")
    assert not Execution.objects.exists()


def test_the_form_begins_with_zeros(site: Site, alice: Person, client: Client) -> None:
    publish(alice, "add", add())
    answer = client.get("/models/alice/add/run/")
    assert answer.context["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [1]}]
    assert '"data": [\n' in answer.context["typed"]


def test_the_form_begins_with_the_cards_example_and_says_what_comes_out(
    site: Site, alice: Person, client: Client
) -> None:
    told = {
        "about": "Adds <one>.",
        "examples": [{"title": "half", "values": [2.5]}],
        "output": {"unit": "apples"},
    }
    release = publish(alice, "add", add())
    with triggers_off():
        Revision.objects.filter(pk=release.revision_id).update(card_metadata={"assay": told})
    answer = client.get("/models/alice/add/run/")
    (tensor,) = json.loads(answer.context["typed"])
    assert tensor == {"name": "x", "datatype": "FP32", "shape": [1], "data": [2.5]}
    page = answer.content.decode()
    assert '<p class="lead">Adds &lt;one&gt;.</p>' in page
    assert "The answer is a number: apples." in page
    with triggers_off():
        odd = {"about": 7, "examples": [{"values": [1, 2]}], "labels": 7, "output": []}
        Revision.objects.filter(pk=release.revision_id).update(card_metadata={"assay": odd})
    answer = client.get("/models/alice/add/run/")
    assert json.loads(answer.context["typed"])[0]["data"] == [0.0]
    assert "Nothing asked yet.</p>" in answer.content.decode()


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ({}, ""),
        ({"assay": []}, ""),
        ({"assay": {"labels": ["cat", "dog"], "output": {"unit": "x"}}}, "one of: cat, dog"),
        ({"assay": {"labels": [str(number) for number in range(1000)]}}, "one of 1,000 labels"),
        ({"assay": {"labels": [], "output": {"unit": "°C"}}}, "a number: °C"),
        ({"assay": {"output": {"unit": 7}}}, ""),
    ],
)
def test_what_comes_out_is_said_in_the_words_of_the_card(card: dict[str, Any], words: str) -> None:
    assert answer_words(card) == words


def test_what_is_typed_runs(site: Site, alice: Person, client: Client) -> None:
    publish(alice, "add", add())
    for typed in (
        '[{"name": "x", "datatype": "FP32", "shape": [1], "data": [2.5]}]',
        '{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [2.5]}]}',
    ):
        answer = client.post("/models/alice/add/run/", {"inputs": typed})
        (output,) = answer.context["result"]["outputs"]
        assert (output["values"], output["text"]) == ([3.5], "[3.5]")
        assert answer.context["typed"] == typed
        assert f"/executions/{answer.context['result']['execution'].pk}/" in answer.content.decode()


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ("", "bad_request"),
        ("7", "bad_request"),
        ('{"inputs": 7}', "bad_request"),
        ('[{"name": "x", "datatype": "FP32", "shape": [1], "data": [null]}]', "bad_tensor"),
        ('[{"name": "é", "datatype": "FP32", "shape": [1], "data": [1]}]', "bad_tensor"),
    ],
)
def test_a_mistake_keeps_what_was_typed(
    site: Site, alice: Person, client: Client, typed: str, error: str
) -> None:
    publish(alice, "add", add())
    answer = client.post("/models/alice/add/run/", {"inputs": typed})
    assert (answer.status_code, answer.context["error"]["code"]) == (400, error)
    assert answer.context["typed"] == typed


def test_what_the_model_refuses_is_told_on_the_page(
    site: Site, alice: Person, client: Client
) -> None:
    publish(alice, "pairs", pairs())
    typed = '[{"name": "x", "datatype": "FP32", "shape": [3], "data": [1, 2, 3]}]'
    answer = client.post("/models/alice/pairs/run/", {"inputs": typed})
    assert answer.context["error"]["code"] == "model_failed"


def test_an_unreleased_model_has_no_form(site: Site, alice: Person, client: Client) -> None:
    draft(alice, "add", add())
    assert "Only a signed release" in client.get("/models/alice/add/run/").content.decode()
    answer = client.post("/models/alice/add/run/", {"inputs": "[]"})
    assert answer.context["result"] is None
