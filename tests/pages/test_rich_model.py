"""A model with everything: an organisation's, two signers, parents, results that are proven, runs.

What the small site of the other tests does not have must not cost a page its limit of queries.
"""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from assay.dsse import public_key_of
from inference.models import Execution
from inference.services.counting import count_executions
from ledger import services as ledger
from registry.choices import Visibility
from registry.models import DownloadMark, FormerName, Model, Release
from registry.services import keys, models, releases
from registry.services.counters import add_up_downloads, downloaded
from tests import builders
from tests.ledger.builders import sequence
from tests.pages.conftest import ACCEPT
from tests.pages.html import faults, parse
from tests.pages.test_every_page import MAX_QUERIES
from tests.people import Person
from tests.registry import executing
from tests.registry.houses import make_house

_CARD = """---
license: mit
pipeline_tag: image-classification
tags: [vision, small]
base_model: [alice/base, old/name, elsewhere/x]
model-index:
- name: rich
  results:
  - task: {type: image-classification}
    dataset: {type: mnist, name: MNIST}
    metrics:
    - {type: accuracy, value: 0.97}
    source: {name: ours, url: "%s"}
  - task: {type: image-classification}
    dataset: {type: mnist, name: MNIST}
    metrics:
    - {type: accuracy, value: 0.98, verifyToken: "%s"}
---
# Rich
"""
_ITEM = "- dataset: {id: alice/digits, task_id: accuracy}\n  value: 0.9\n"
PAGES = (
    "/models/",
    "/models/?q=rich&task=image-classification&license=mit",
    "/models/?q=rich&sort=verified&owner=acme&signer={key}",
    "/models/acme/rich/",
    "/models/acme/rich/files/",
    "/models/acme/rich/graph/",
    "/models/acme/rich/api/",
    "/models/acme/rich/run/",
    "/models/acme/rich/executions/",
    "/models/acme/rich/releases/",
    "/models/acme/rich/releases/1.0.0/",
    "/models/acme/rich/releases/1.1.0/",
    "/models/acme/rich/releases/1.2.0/",
    "/models/acme/rich/aliases/production/",
    "/models/acme/rich/signers/",
    "/models/acme/rich/compare/",
    "/models/acme/rich/compare/?from=1.0.0&to=latest",
    "/acme/",
    "/alice/",
)


def release(
    person: Person, model: Model, version: str, key: str, card: str = "# Rich\n"
) -> Release:
    """Release a revision of `model` with this card, signed with the key of that name."""
    tree = {
        "model.onnx": builders.ONNX,
        "README.md": card.encode(),
        ".eval_results/one.yaml": _ITEM.encode(),
        "notes.txt": version.encode(),
    }
    revision = builders.make_revision(person, model, tree)
    private = builders.private_key(key)
    request = releases.Request(
        revision=revision.pk,
        version=version,
        notes="Changed.",
        envelopes=builders.make_claims(revision, private, version),
        key=public_key_of(private.public_key()).fingerprint,
    )
    return releases.publish(person.user, model, request)


@pytest.fixture
def rich(alice: Person, bob: Person) -> Release:
    """acme/rich 1.2.0: alice signed the release before, bob signed this one."""
    builders.publish_release(
        alice, builders.make_revision(alice, builders.make_model(alice, "base"))
    )
    moved = builders.make_model(alice, "moved")
    FormerName.objects.create(name="old/name", model=moved)
    owner = make_house(alice, "acme", publisher=bob)
    model = models.create(alice.user, name="rich", owner=owner.name)
    for key in ("old", "new"):
        envelope = builders.key_envelope(builders.private_key(key), owner.name)
        keys.register(alice.user, envelope, name=key)
    first = release(alice, model, "1.0.0", "old")
    builders.move_alias(alice, first, private=builders.private_key("old"))
    again = release(alice, model, "1.1.0", "old", "# Rich again\n")
    ran = executing.run(again.revision)
    newest = release(bob, model, "1.2.0", "new", _CARD % (f"/executions/{ran.id}/", ran.receipt))
    executing.run(newest.revision)
    child = builders.make_model(bob, "child")
    tree = {"README.md": b"---\nbase_model: acme/rich\n---\n# Child\n"}
    builders.make_revision(bob, child, tree)
    assert ledger.is_current(newest.claims.earliest("pk").entry)  # a process asks that once
    return newest


def visit(client: Client, path: str) -> list[str]:
    """Read a page that keeps the rules of all pages; return the path and queries where too many."""
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(path)
    assert answer.status_code == 200, path
    assert faults(parse(answer.content.decode())) == [], path
    told = [path, str(len(queries)), *(query["sql"][:300] for query in queries.captured_queries)]
    return told if len(queries) > MAX_QUERIES else []


@pytest.mark.parametrize("visibility", [Visibility.PUBLIC, Visibility.GATED])
def test_the_richest_model_costs_no_page_more_than_its_limit(
    rich: Release, as_bob: Client, reader: Client, mallory: Person, visibility: str
) -> None:
    Model.objects.filter(pk=rich.model_id).update(visibility=visibility)
    as_mallory = Client(headers={"accept": ACCEPT})
    as_mallory.force_login(mallory.user, backend="django.contrib.auth.backends.ModelBackend")
    for client in (as_bob, reader, as_mallory):
        for pattern in PAGES:
            assert visit(client, pattern.format(key=rich.key_id)) == []
    for client in (as_bob, as_mallory):
        assert visit(client, "/me/models/") == []


def test_the_page_says_who_signed_and_what_runs_prove(rich: Release, reader: Client) -> None:
    text = reader.get("/models/acme/rich/").content.decode()
    assert "Signed by another key than the release before" in text
    for name in ("/models/alice/base/", "/models/alice/moved/", "/models/bob/child/"):
        assert f'href="{name}"' in text
    assert "Nothing is released yet" not in text


def test_the_numbers_on_the_pages_are_those_of_the_rows(
    rich: Release, reader: Client, alice: Person
) -> None:
    sequence()
    count_executions()
    for address in ("192.0.2.7", "192.0.2.8", "192.0.2.7"):
        downloaded(rich.revision_id, address)
    add_up_downloads()
    ran = Execution.objects.filter(revision__model=rich.model, entry__kind="execution").count()
    marks = DownloadMark.objects.filter(release__model=rich.model).count()
    assert (ran, marks) == (2, 2)
    listed = reader.get("/models/?sort=verified").content.decode()
    assert f"{ran} verified executions" in listed
    assert f"{marks} downloads" in listed
    assert "is an entry of the ledger" in listed
    assert listed.index("acme/rich") < listed.index("alice/base")
    released = Model.objects.filter(releases__isnull=False).distinct().count()
    assert f">{released} models</p>" in listed
    page = reader.get("/models/acme/rich/").content.decode()
    assert f"<dt>Verified executions</dt><dd>{ran}</dd>" in page
    assert f"<dt>Downloads</dt><dd>{marks}</dd>" in page
    assert "What is counted" in page
