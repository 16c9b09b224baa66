"""A release in other people's formats: right, and the same bytes for ever."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from django.test import Client
from django.urls import resolve
from pytest_django import Settings

from registry.card_rules import LICENSES
from registry.choices import Act, Target, Visibility
from registry.exports.cyclonedx import port_format
from registry.exports.licenses import SPDX_IDS, Licence, licence_of
from registry.models import Owner, Release
from registry.services import exports, releases
from tests import builders
from tests.people import Person
from tests.registry import cyclonedx
from tests.registry.calls import error
from tests.registry.moderating import Things, make_moderator

pytestmark = pytest.mark.usefixtures("opened")
PAGE = "/models/alice/double/releases/1.0.0"
REST = "/api/v1/models/alice/double/releases/1.0.0/exports"
NAMES = [form.name for form in exports.FORMATS]
FULL = """\
---
license: apache-2.0
pipeline_tag: image-classification
language: en
datasets: [alice/digits, mnist]
base_model: bob/base
co2_eq_emissions: 12.5
model-index:
- name: double
  results:
  - task: {type: image-classification}
    dataset: {type: mnist, name: MNIST, split: test}
    metrics: [{type: accuracy, value: 0.97}, {type: f1, value: 0.96}]
---
# Double

> **Adds** a [tensor](https://example.org) to `itself`, and is glad to do so.

## Intended uses

Doubling numbers in tests of this registry.

## Training

It was not trained at all: somebody wrote it.

## Limitations, bias and risks

It overflows where the sum of two numbers does.
"""
HOSTILE = """\
---
license: other
license_name: "</script><script>alert(1)</script>"
license_link: javascript:alert(1)
tags: ["\\"", "\\\\"]
datasets: ["} } }", "\\U0001F600"]
pipeline_tag: other
---
# "}]}} %s {x} \\

<script>alert(1)</script> words words words words words "quoted" {braces}
"""


def publish(person: Person, text: str = FULL, more: dict[str, bytes] | None = None) -> Release:
    files = {"model.onnx": builders.ONNX, "README.md": text.encode(), "a b/ü.txt": b"x"}
    files |= more or {}
    return builders.publish_release(person, builders.make_revision(person, files=files))


def body(name: str, **query: str) -> bytes:
    return Client().get(f"{PAGE}/{name}", query).content


def bom(**query: str) -> Any:
    return json.loads(body("bom.cdx.json", **query))


# ------------------------------------------------------------------ what is in them


@pytest.mark.parametrize("version", ["1.6", "1.7"])
@pytest.mark.parametrize("text", [FULL, HOSTILE, "# Double\n", "---\nlicense: gpl\n---\n"])
def test_a_bill_of_materials_keeps_the_rules_of_cyclonedx(
    version: str, text: str, alice: Person
) -> None:
    publish(alice, text)
    assert cyclonedx.faults(bom(spec=version), version) == []


@pytest.mark.parametrize("version", ["1.6", "1.7"])
@pytest.mark.parametrize("text", [FULL, HOSTILE, "# Double\n"])
@pytest.mark.stock
def test_the_official_validator_takes_a_bill_of_materials(
    version: str, text: str, alice: Person
) -> None:
    publish(alice, text)
    schema = import_module("cyclonedx.schema").SchemaVersion[f"V{version.replace('.', '_')}"]
    validator = import_module("cyclonedx.validation.json").JsonStrictValidator(schema)
    assert validator.validate_str(body("bom.cdx.json", spec=version).decode()) is None


def test_the_rules_of_the_tests_see_a_fault(alice: Person) -> None:
    publish(alice)
    document = bom()
    component = document["metadata"]["component"]
    component["modelCard"]["surprise"] = 1
    component["hashes"][0]["content"] = "AB"
    del component["name"]
    component["components"][0]["bom-ref"] = component["bom-ref"]
    component["licenses"] = [{"license": {}}]
    assert len(cyclonedx.faults(document, "1.6")) == 5


def test_a_bill_of_materials_says_what_the_card_and_the_inspection_say(alice: Person) -> None:
    release = publish(alice)
    component = bom()["metadata"]["component"]
    assert (component["group"], component["name"], component["version"]) == (
        "alice",
        "double",
        "1.0.0",
    )
    assert component["description"] == "Adds a tensor to itself, and is glad to do so."
    assert component["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    assert [file["name"] for file in component["components"]] == [
        "README.md",
        "a b/ü.txt",
        "model.onnx",
    ]
    assert component["hashes"] == component["components"][2]["hashes"]
    assert component["pedigree"]["ancestors"][0]["name"] == "bob/base"
    card = component["modelCard"]
    assert card["modelParameters"] == {
        "task": "image-classification",
        "modelArchitecture": "ONNX graph, opset ai.onnx 17",
        "datasets": [
            {"type": "dataset", "name": "alice/digits"},
            {"type": "dataset", "name": "mnist"},
        ],
        "inputs": [{"format": "FP32[n,2]"}],
        "outputs": [{"format": "FP32[n,2]"}],
    }
    assert card["quantitativeAnalysis"]["performanceMetrics"][0] == {
        "type": "accuracy",
        "value": "0.97",
        "slice": "MNIST test",
    }
    told = card["considerations"]
    assert told["useCases"] == ["Doubling numbers in tests of this registry."]
    assert "overflows" in told["technicalLimitations"][0]
    assert told["environmentalConsiderations"]["properties"][0]["value"] == "12.5"
    manifest = {"name": "assay:manifest", "value": release.revision.manifest}
    assert manifest in component["properties"]


def test_its_references_lead_to_what_they_name(alice: Person, settings: Settings) -> None:
    publish(alice)
    found = bom()["metadata"]["component"]["externalReferences"]
    views = {}
    for item in found:
        assert item["url"].startswith(f"{settings.SITE_URL}/models/alice/double/")
        target = resolve(unquote(item["url"].removeprefix(settings.SITE_URL)))
        views[item["type"]] = (target.url_name, target.kwargs.get("path"))
    assert views == {
        "model-card": ("model-file", "README.md"),
        "attestation": ("bundle", None),
        "digital-signature": ("bundle", None),
        "distribution": ("model-file", "model.onnx"),
    }


def test_a_model_without_a_graph_has_no_graph_in_it(alice: Person) -> None:
    files = {"README.md": builders.CARD, "notes.txt": b"words"}
    builders.publish_release(alice, builders.make_revision(alice, files=files, report=None))
    component = bom()["metadata"]["component"]
    assert "hashes" not in component
    assert "modelCard" not in component  # it would say nothing
    assert cyclonedx.faults(bom(), "1.6") == []


def test_spdx_has_every_property_that_the_ai_profile_asks_for(alice: Person) -> None:
    release = publish(alice)
    document = json.loads(body("ai.spdx.json"))
    graph = document["@graph"]
    assert document["@context"] == "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"
    (package,) = [item for item in graph if item["type"] == "ai_AIPackage"]
    for key in (
        "releaseTime",
        "suppliedBy",
        "software_downloadLocation",
        "software_packageVersion",
        "software_primaryPurpose",
        "name",
    ):
        assert package[key], key
    assert package["ai_domain"] == ["image-classification"]
    assert package["ai_typeOfModel"] == ["ONNX graph, opset ai.onnx 17"]
    assert package["ai_metric"][0] == {
        "type": "DictionaryEntry",
        "key": "accuracy on MNIST test",
        "value": "0.97",
    }
    assert "somebody wrote it" in package["ai_informationAboutTraining"]
    assert "alice/digits, mnist" in package["ai_informationAboutTraining"]
    assert "overflows" in package["ai_limitation"]
    assert "Doubling" in package["ai_informationAboutApplication"]
    assert release.revision.manifest in package["comment"]


@pytest.mark.parametrize("text", [FULL, HOSTILE, "# Double\n", "---\nlicense: cc\n---\n"])
def test_every_element_of_an_spdx_document_is_there_once(text: str, alice: Person) -> None:
    publish(alice, text)
    check_ids(json.loads(body("ai.spdx.json"))["@graph"])


def check_ids(graph: Any) -> None:
    (made,) = [item for item in graph if item["type"] == "CreationInfo"]
    ids = [item["spdxId"] for item in graph if "spdxId" in item]
    assert len(set(ids)) == len(ids)
    assert {item["creationInfo"] for item in graph if "spdxId" in item} == {made["@id"]}
    (document,) = [item for item in graph if item["type"] == "SpdxDocument"]
    named = {*document["rootElement"], *document["element"], *made["createdBy"]}
    for item in graph:
        if item["type"] == "Relationship":
            named |= {item["from"], *item["to"]}
        if item["type"] == "ai_AIPackage":
            named.add(item["suppliedBy"])
    assert named <= set(ids)
    assert set(document["element"]) == set(ids) - {document["spdxId"]}


def test_a_licence_that_spdx_does_not_know_is_a_reference_with_its_address(alice: Person) -> None:
    publish(
        alice,
        "---\nlicense: other\nlicense_name: My Own 1.0\n"
        "license_link: https://example.org/l\n---\n# D\n",
    )
    graph = json.loads(body("ai.spdx.json"))["@graph"]
    (licence,) = [i for i in graph if i["type"] == "simplelicensing_LicenseExpression"]
    assert licence["simplelicensing_licenseExpression"] == "LicenseRef-My-Own-1.0"
    assert licence["simplelicensing_customIdToUri"][0]["value"] == "https://example.org/l"
    assert bom()["metadata"]["component"]["licenses"] == [
        {"license": {"name": "My Own 1.0", "url": "https://example.org/l"}}
    ]
    cff = yaml.safe_load(body("CITATION.cff"))
    assert cff["license-url"] == "https://example.org/l"


def test_licences_are_spelled_as_spdx_spells_them() -> None:
    assert SPDX_IDS.keys() <= LICENSES
    assert licence_of({"license": "mit"}) == Licence(spdx="MIT")
    assert licence_of({"license": "llama3"}) == Licence(name="llama3")
    assert licence_of({"license": "unknown"}) == licence_of({}) == Licence()
    other = {"license": "other", "license_name": "mine", "license_link": "LICENSE"}
    assert licence_of(other) == Licence(name="mine")


def test_a_citation_names_the_very_bytes(alice: Person, settings: Settings) -> None:
    release = publish(alice)
    cff = yaml.safe_load(body("CITATION.cff"))
    assert (cff["cff-version"], cff["title"], cff["version"]) == ("1.2.0", "alice/double", "1.0.0")
    assert cff["authors"] == [{"name": "alice"}]
    assert cff["license"] == "Apache-2.0"
    assert cff["url"] == f"{settings.SITE_URL}{PAGE}/"
    assert cff["identifiers"][0]["value"] == f"sha256:{release.revision.manifest}"
    bibtex = body("citation.bib").decode()
    assert bibtex.startswith("@misc{alice_double_1.0.0,\n  title = {{double}},\n")
    assert release.revision.manifest in bibtex
    assert bibtex.count("{") == bibtex.count("}")


def test_a_citation_of_an_unlicensed_model_names_no_licence(alice: Person) -> None:
    publish(alice, "# Double\n")
    cff = yaml.safe_load(body("CITATION.cff"))
    assert not {"license", "license-url"} & cff.keys()


def test_a_name_with_an_underscore_is_set_by_latex(alice: Person) -> None:
    model = builders.make_model(alice, "my_model")
    builders.publish_release(alice, builders.make_revision(alice, model))
    bibtex = Client().get("/models/alice/my_model/releases/1.0.0/citation.bib").content.decode()
    assert r"title = {{my\_model}}" in bibtex


def test_a_port_of_unknown_size_has_a_question_mark() -> None:
    assert port_format({"datatype": "FP32", "shape": ["N", -1, None, 3]}) == "FP32[N,?,?,3]"
    assert port_format({"datatype": "", "shape": None}) == "?[]"


# ------------------------------------------------------------------ a card that moderators stopped

# What only the card of `FULL` says; the rest is read from the files, or checked by the registry.
WORDS = (
    *("Adds", "glad", "Doubling", "somebody wrote", "overflows", "Apache-2.0"),
    *("classification", "digits", "mnist", "MNIST", "bob/base", "12.5", "0.97", "accuracy"),
)
RESULTS = b"- dataset: {id: glue, task_id: sst2}\n  value: 0.42\n"


@pytest.mark.parametrize("act", [Act.HIDE, Act.TAKEDOWN])
def test_an_export_quotes_nothing_of_a_card_that_moderators_stopped_and_says_so(
    act: Act, alice: Person, settings: Settings
) -> None:
    release = publish(alice, FULL, {".eval_results/glue.yaml": RESULTS})
    before = {name: body(name) for name in NAMES}
    assert [word for word in WORDS if not any(word.encode() in b for b in before.values())] == []
    card = Things(names={Target.FILE: release.revision.files.get(path="README.md").blob_id})
    carol = make_moderator()
    done = card.do(carol, act, Target.FILE)
    told = f"{settings.SITE_URL}/moderation/{done.number}/"
    after = {name: body(name) for name in NAMES}
    page = Client().get(f"{PAGE}/").content.decode()
    for word in WORDS:
        assert [name for name, data in after.items() if word.encode() in data] == []
    assert "license: " not in page
    for name in ("bom.cdx.json", "ai.spdx.json", "CITATION.cff"):
        assert told.encode() in after[name], name
        assert b"0.42" in after[name] or name == "CITATION.cff", "the words of another file"
    assert after["citation.bib"] == before["citation.bib"]  # it never quotes a card
    assert yaml.safe_load(after["CITATION.cff"]).keys() == yaml.safe_load(
        before["CITATION.cff"]
    ).keys() - {"license"}
    for spec in ("1.6", "1.7"):
        assert cyclonedx.faults(bom(spec=spec), spec) == []
    check_ids(json.loads(after["ai.spdx.json"])["@graph"])
    # It is another document than the one that quotes the card, which comes back as it was.
    assert json.loads(before["bom.cdx.json"])["serialNumber"] != bom()["serialNumber"]
    card.do(carol, Act.RESTORE, Target.FILE)
    assert {name: body(name) for name in NAMES} == before


# ------------------------------------------------------------------ how they are served


def test_the_bytes_of_an_export_never_change(alice: Person) -> None:
    release = publish(alice)
    first = {name: body(name) for name in NAMES}
    later = builders.make_revision(alice, release.model)
    key = builders.known_key(release.key, alice)
    builders.publish_release(alice, later, version="2.0.0", key=key)
    releases.yank(alice.user, release.model, "1.0.0", reason="a test")
    assert {name: body(name) for name in NAMES} == first


def test_an_export_keeps_the_name_that_was_signed(alice: Person) -> None:
    publish(alice)
    first = {name: body(name) for name in NAMES}
    Owner.objects.filter(pk=alice.owner.pk).update(name="alice-and-friends")
    address = "/models/alice-and-friends/double/releases/1.0.0"
    assert {name: Client().get(f"{address}/{name}").content for name in NAMES} == first


def test_no_two_documents_share_a_serial_number(alice: Person) -> None:
    release = publish(alice)
    later = builders.make_revision(alice, release.model)
    builders.publish_release(
        alice, later, version="1.0.1", key=builders.known_key(release.key, alice)
    )
    other = json.loads(Client().get("/models/alice/double/releases/1.0.1/bom.cdx.json").content)
    numbers = [bom(spec="1.6"), bom(spec="1.7"), other]
    assert len({item["serialNumber"] for item in numbers}) == 3


def test_page_and_api_give_the_same_bytes_and_take_an_etag(alice: Person) -> None:
    publish(alice)
    for name in NAMES:
        page, rest = Client().get(f"{PAGE}/{name}"), Client().get(f"{REST}/{name}")
        assert page.content == rest.content
        assert page["ETag"] == rest["ETag"]
        assert page["Content-Type"] == rest["Content-Type"]
        assert page["Content-Disposition"] == f'attachment; filename="{name}"'
        assert page["X-Content-Type-Options"] == "nosniff"
        for path in (f"{PAGE}/{name}", f"{REST}/{name}"):
            again = Client().get(path, headers={"If-None-Match": page["ETag"]})
            assert (again.status_code, again.content) == (304, b"")
            stale = Client().get(path, headers={"If-None-Match": '"other"'})
            assert stale.status_code == 200


def test_the_types_are_those_of_the_formats(alice: Person) -> None:
    publish(alice)
    kinds = {name: Client().get(f"{PAGE}/{name}")["Content-Type"] for name in NAMES}
    assert kinds == {
        "bom.cdx.json": "application/vnd.cyclonedx+json; version=1.6",
        "ai.spdx.json": "application/spdx+json",
        "CITATION.cff": "application/yaml; charset=utf-8",
        "citation.bib": "application/x-bibtex; charset=utf-8",
    }
    newer = Client().get(f"{PAGE}/bom.cdx.json", {"spec": "1.7"})
    assert newer["Content-Type"].endswith("version=1.7")


def test_the_api_lists_what_there_is(alice: Person) -> None:
    publish(alice)
    items = Client().get(REST).json()["items"]
    assert [item["name"] for item in items] == NAMES
    assert items[0]["spec"] == ["1.6", "1.7"]
    for item in items:
        assert Client().get(item["url"]).status_code == 200


def test_what_is_not_exported_is_said(alice: Person) -> None:
    publish(alice)
    assert error(Client().get(f"{REST}/bom.xml")) == (404, "unknown_file")
    assert error(Client().get(f"{REST}/bom.cdx.json", {"spec": "2.0"})) == (400, "invalid_input")
    assert error(Client().get(f"{REST}/ai.spdx.json", {"spec": "2.3"})) == (400, "invalid_input")
    nothing = "/api/v1/models/alice/double/releases/9.9.9/exports"
    assert error(Client().get(nothing)) == (404, "unknown_revision")


def test_nobody_else_has_an_export_of_a_private_model(alice: Person, mallory: Person) -> None:
    model = builders.make_model(alice, "secret", Visibility.PRIVATE)
    builders.publish_release(alice, builders.make_revision(alice, model))
    theirs, hers = mallory.api(), alice.api()
    for name in NAMES:
        path = f"/api/v1/models/alice/secret/releases/1.0.0/exports/{name}"
        assert error(theirs.get(path)) == (404, "unknown_model")
        assert hers.get(path).status_code == 200
        assert Client().get(f"/models/alice/secret/releases/1.0.0/{name}").status_code == 404


def test_the_page_of_a_release_shows_its_citations(alice: Person) -> None:
    publish(alice)
    page = Client().get(f"{PAGE}/").content.decode()
    for name in NAMES:
        assert f'href="{PAGE}/{name}"' in page
    assert "@misc{alice_double_1.0.0," in page
    assert 'aria-label="Copy: BibTeX"' in page
