"""Results that a card claims: what proves one, and what mallory sends in place of a proof."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from pytest_django import Settings

from assay.dsse import compact, parse_compact, sign
from inference.ids import uuid7
from registry import executions
from registry.models import Model, Revision
from registry.services import evaluations
from registry.services.evaluations_checked import (
    NO_EXECUTION,
    NOT_OURS,
    OTHER_MODEL,
    UNLOGGED,
    UNSIGNED,
    Checked,
    State,
    check,
)
from tests import builders
from tests.people import Person
from tests.registry import executing

pytestmark = pytest.mark.usefixtures("opened")
API = "/api/v1"
INDEX = """\
model-index:
- name: double
  results:
  - task: {type: image-classification}
    dataset: {type: mnist, name: MNIST, config: full, split: test}
    metrics:
    - {type: accuracy, value: 0.97, name: Accuracy, verified: true%s}
    source: {name: alice's log, url: "%s"}
"""
ITEM = """\
- dataset: {id: alice/digits, task_id: accuracy}
  value: 0.97
  date: "2026-01-01"
  notes: on one core
  verifyToken: "%s"
  source: {url: "%s", name: log}
"""


def card(token: str = "", url: str = "https://example.org/log") -> bytes:
    told = f', verifyToken: "{token}"' if token else ""
    return f"---\nlicense: mit\n{INDEX % (told, url)}---\n# Double\n".encode()


def revise(
    person: Person, model: Model | None = None, readme: bytes = builders.CARD, **files: bytes
) -> Revision:
    extra = {f".eval_results/{name}.yaml": data for name, data in files.items()}
    tree = {"model.onnx": builders.ONNX, "README.md": readme, **extra}
    return builders.make_revision(person, model, tree)


def checked(revision: Revision) -> Checked:
    (found,) = check(revision, evaluations.results(revision))
    return found


def test_a_claim_without_a_proof_is_not_checked_whatever_it_says_of_itself(alice: Person) -> None:
    found = checked(revise(alice, readme=card()))
    assert (found.state, found.reason) == (State.NOT_CHECKED, NO_EXECUTION)
    result = found.result
    assert (result.metric, result.value, result.dataset) == ("Accuracy", "0.97", "MNIST")
    assert (result.config, result.split, result.place) == ("full", "test", "README.md")
    assert result.link == "https://example.org/log"


def test_the_second_form_is_read_from_its_files(alice: Person) -> None:
    revision = revise(alice, mnist=(ITEM % ("", "")).encode())
    result = checked(revision).result
    assert (result.place, result.metric, result.value) == (
        ".eval_results/mnist.yaml",
        "accuracy",
        "0.97",
    )
    assert (result.dataset, result.date, result.notes) == (
        "alice/digits",
        "2026-01-01",
        "on one core",
    )
    (told,) = evaluations.hub_results(revision)
    assert told["filename"] == ".eval_results/mnist.yaml"
    assert told["data"]["dataset"] == {"id": "alice/digits", "task_id": "accuracy"}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a: 1", "not a list"),
        (b"- 3", "not an object"),
        (b"- {value: 1}", "'dataset'"),
        (b"- {value: 1, dataset: {id: a}}", "task_id"),
        (b"- {dataset: {id: a, task_id: b}}", "'value'"),
        (b"- {value: 1, dataset: {id: a, task_id: b}, source: x}", "'source'"),
        (b"- {value: 1, dataset: {id: a, task_id: b}, source: {name: x}}", "'source'"),
        (b"- &x {a: 1}", "anchor"),
        (b"- {value: .nan, dataset: {id: a, task_id: b}}", ".nan"),
        (b"x" * 70_000, "longer than"),
        ("- é".encode("latin-1"), "UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_says_so_and_hurts_nothing(
    data: bytes, words: str, alice: Person
) -> None:
    if not data.isascii():
        digest = builders.store_blob(data, alice.user).sha256
        assert words in evaluations._read(digest)[1]  # a commit takes no such text
        return
    revision = revise(alice, bad=data, good=(ITEM % ("", "")).encode())
    bad, good = evaluations.hub_results(revision)
    assert words in bad["error"]
    assert good["data"]["value"] == 0.97
    assert len(evaluations.results(revision)) == 1


def test_other_files_are_no_results(alice: Person) -> None:
    files = {
        "model.onnx": builders.ONNX,
        "README.md": builders.CARD,
        ".eval_results/deep/a.yaml": b"[]",
        ".eval_results/a.txt": b"words",
        "eval.yaml": b"[]",
    }
    assert evaluations.files(builders.make_revision(alice, files=files)) == []


# ------------------------------------------------------------------ by address


def addressed(revision: Revision, path: str) -> Checked:
    result = evaluations.Result(place="README.md", metric="a", value="1", source_url=path)
    (found,) = check(revision, [result])
    return found


@pytest.mark.parametrize(
    "form", ["/executions/{}/", "/executions/{}/receipt", "/api/v1/executions/{}"]
)
@pytest.mark.parametrize("whole", [True, False])
def test_the_address_of_an_execution_of_this_revision_proves(
    form: str, whole: bool, alice: Person, settings: Settings
) -> None:
    revision = revise(alice)
    run = executing.run(revision)
    path = form.format(run.id)
    found = addressed(revision, f"{settings.SITE_URL}{path}" if whole else path)
    assert (found.state, found.executions, found.count) == (State.VERIFIED, (str(run.id),), 1)


def test_a_batch_proves_when_every_execution_of_it_does(alice: Person) -> None:
    revision, batch = revise(alice), uuid4()
    for _ in range(25):
        executing.run(revision, batch=batch)
    found = addressed(revision, f"/api/v1/batches/{batch}")
    assert (found.state, found.count, len(found.executions)) == (State.VERIFIED, 25, 20)
    executing.fail(revision, batch=batch)
    assert addressed(revision, f"/api/v1/batches/{batch}").reason == NOT_OURS


def test_mallory_may_not_name_an_execution_of_alices_model(alice: Person, mallory: Person) -> None:
    run = executing.run(revise(alice))
    found = addressed(revise(mallory), f"/executions/{run.id}/")
    assert (found.state, found.reason) == (State.NOT_CHECKED, NOT_OURS)


def test_an_execution_of_an_earlier_revision_is_not_one_of_this(alice: Person) -> None:
    first = revise(alice)
    run = executing.run(first)
    later = revise(alice, first.model, readme=card(url=f"/executions/{run.id}/"))
    assert checked(later).reason == NOT_OURS


def test_an_execution_that_failed_or_never_was_proves_nothing(alice: Person) -> None:
    revision = revise(alice)
    for pk in (executing.fail(revision), uuid7()):
        assert addressed(revision, f"/executions/{pk}/").reason == NOT_OURS
    assert addressed(revision, f"/api/v1/batches/{uuid4()}").reason == NOT_OURS


@pytest.mark.parametrize(
    "form",
    [
        "https://elsewhere.example/executions/{}/",
        "//elsewhere.example/executions/{}/",
        "{site}.elsewhere.example/executions/{}/",
        "/executions/{}/../{}/",
        "/models/executions/{}/",
        "javascript:/executions/{}/",
        "{}",
        "",
    ],
)
def test_an_address_elsewhere_proves_nothing(form: str, alice: Person, settings: Settings) -> None:
    revision = revise(alice)
    run = executing.run(revision)
    url = form.format(run.id, run.id, site=settings.SITE_URL)
    assert addressed(revision, url).reason == NO_EXECUTION


# ------------------------------------------------------------------ by receipt


def test_a_receipt_proves_in_the_revision_that_carries_it(alice: Person) -> None:
    first = revise(alice)
    run = executing.run(first)
    later = revise(alice, first.model, readme=card(token=run.receipt))
    found = checked(later)
    assert (found.state, found.executions, found.ran) == (
        State.VERIFIED,
        (str(run.id),),
        first.pk,
    )


def test_a_receipt_of_this_very_revision_proves(alice: Person) -> None:
    revision = revise(alice)
    run = executing.run(revision)
    result = evaluations.Result(place="README.md", metric="a", value="1", token=run.receipt)
    (found,) = check(revision, [result])
    assert (found.state, found.ran) == (State.VERIFIED, "")


def test_mallory_may_not_claim_with_the_receipt_of_another_model(
    alice: Person, mallory: Person
) -> None:
    """Not even when both models hold the very same graph."""
    run = executing.run(revise(alice))
    found = checked(revise(mallory, readme=card(token=run.receipt)))
    assert (found.state, found.reason) == (State.NOT_CHECKED, OTHER_MODEL)


def test_a_receipt_ends_with_the_graph_that_ran(alice: Person) -> None:
    first = revise(alice)
    run = executing.run(first)
    other = builders.ONNX.replace(b"double", b"triple")
    files = {"model.onnx": other, "README.md": card(token=run.receipt)}
    assert other != builders.ONNX
    later = builders.make_revision(alice, first.model, files)
    assert checked(later).reason == OTHER_MODEL


def test_a_receipt_that_an_unknown_key_signed_is_none(alice: Person) -> None:
    revision = revise(alice)
    executing.executor_key()
    forged = sign(executing.statement(revision, uuid7()), builders.private_key("mallory"))
    found = checked(revise(alice, revision.model, readme=card(token=compact(forged))))
    assert (found.state, found.reason) == (State.NOT_CHECKED, UNSIGNED)


def test_a_publishers_key_signs_no_receipt(alice: Person) -> None:
    pair = builders.make_key(alice)
    revision = revise(alice)
    forged = compact(sign(executing.statement(revision, uuid7()), pair.private))
    assert checked(revise(alice, revision.model, readme=card(token=forged))).reason == UNSIGNED


def test_a_receipt_that_is_not_in_the_ledger_is_none(alice: Person) -> None:
    """The executor's own signature is not enough: whoever stole its key has no entry."""
    revision = revise(alice)
    stolen = sign(executing.statement(revision, uuid7()), executing.executor_key())
    found = checked(revise(alice, revision.model, readme=card(token=compact(stolen))))
    assert found.reason == UNLOGGED


def test_another_statement_under_a_known_execution_is_none(alice: Person) -> None:
    revision = revise(alice)
    run = executing.run(revision)
    payload = executing.statement(revision, run.id, finished_on="2026-01-02T00:00:00.000Z")
    lie = compact(sign(payload, executing.executor_key()))
    assert checked(revise(alice, revision.model, readme=card(token=lie))).reason == UNLOGGED


def test_a_statement_of_another_kind_is_no_receipt(alice: Person) -> None:
    private = executing.executor_key()
    envelope = builders.key_envelope(private, "localhost", role="executor")
    assert checked(revise(alice, readme=card(token=compact(envelope)))).reason == UNSIGNED


@pytest.mark.parametrize("change", ["", "x", ".", "a.b", "flip", "pad", "hub"])
def test_a_damaged_receipt_is_none(change: str, alice: Person) -> None:
    revision = revise(alice)
    good = executing.run(revision).receipt
    payload, _, signature = good.partition(".")
    tokens = {
        "": f"{payload}.",
        "flip": f"{payload[:-9]}{'A' if payload[-9] != 'A' else 'B'}{payload[-8:]}.{signature}",
        "pad": f"{good}=",
        "hub": "eyJhbGciOiJFZERTQSJ9.eyJoYXNoIjoiMCJ9.c2lnbmF0dXJl",
    }
    token = tokens.get(change, change)
    assert parse_compact(good).payload
    assert checked(revise(alice, revision.model, readme=card(token=token))).reason == UNSIGNED


def test_a_proof_by_address_stands_beside_a_bad_token(alice: Person) -> None:
    revision = revise(alice)
    run = executing.run(revision)
    result = evaluations.Result(
        place="README.md", metric="a", value="1", token="x", source_url=f"/executions/{run.id}/"
    )
    (found,) = check(revision, [result])
    assert found.state == State.VERIFIED


def test_a_registry_without_an_executor_knows_no_execution() -> None:
    assert executions._none([uuid4()], []) == []


# ------------------------------------------------------------------ seen


def test_the_api_tells_what_is_known_of_each(alice: Person) -> None:
    first = revise(alice)
    run = executing.run(first)
    item = ITEM % ("", "https://example.org")
    later = revise(
        alice, first.model, readme=card(token=run.receipt), a=item.encode(), b=b"nothing"
    )
    address = f"{API}/models/alice/double/revisions/{later.pk}/evaluations"
    body: dict[str, Any] = Client().get(address).json()
    proven, claimed = body["items"]
    assert proven["state"] == "verified"
    assert proven["executions"] == [str(run.id)]
    assert (proven["ran"], proven["execution_count"]) == (first.pk, 1)
    assert (claimed["state"], claimed["file"]) == ("not_checked", ".eval_results/a.yaml")
    assert claimed["source"] == {"name": "log", "url": "https://example.org"}
    assert body["unread"] == [{"file": ".eval_results/b.yaml", "error": "not a list of results"}]


def test_the_page_keeps_claims_and_proofs_apart(alice: Person) -> None:
    first = revise(alice)
    run = executing.run(first)
    item = ITEM % ("", "javascript:alert(1)")
    later = revise(alice, first.model, readme=card(token=run.receipt), a=item.encode())
    builders.publish_release(alice, later)
    page = Client().get("/models/alice/double/").content.decode()
    assert f'href="/executions/{run.id}/"' in page
    assert page.count("Not checked") == 1
    assert page.count("Proven by an execution") == 2  # the legend, and the one result
    assert 'href="javascript' not in page


@pytest.mark.parametrize(
    "url",
    [
        *("javascript:alert(1)", "data:text/html,x", "//evil.example/", "/\\evil.example"),
        *("http:", "", "http://[", "ftp://example.org/"),
    ],
)
def test_a_page_leads_to_no_address_that_is_not_the_webs(url: str) -> None:
    assert evaluations.safe_link(url) == ""
