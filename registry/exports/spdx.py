"""SPDX 3.0.1: the release as an `AIPackage`, in JSON-LD.

One graph: who made the document and when, the owner, the package, its files, its licence, and what
ties them together. The package has the six properties that the AI profile asks for; of the
optional ones those of which the card or the inspection says something. Where moderators stopped the
card, the package's comment says so.
"""

from __future__ import annotations

import re
from typing import Any

from assay.canonical import canonical_json
from registry.exports.described import Described
from registry.exports.licenses import licence_of
from registry.services.card_fields import texts
from registry.services.evaluations import text

CONTEXT = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"
SPEC = "3.0.1"
_MADE = "_:creationinfo"
_REF = re.compile(r"[^A-Za-z0-9.-]+")


def render(release: Described) -> bytes:
    """Return the document of `release`."""
    return canonical_json({"@context": CONTEXT, "@graph": _graph(release)})


def _graph(release: Described) -> list[dict[str, Any]]:
    package = _package(release)
    files = [_file(release, number) for number in range(len(release.files))]
    elements = [_registry(release), _owner(release), package, *files]
    elements.append(
        _relation(release, "contains", package["spdxId"], "contains", [f["spdxId"] for f in files])
    )
    licence = _licence(release)
    if licence:
        told = _relation(
            release, "licence", package["spdxId"], "hasDeclaredLicense", [licence["spdxId"]]
        )
        elements += [licence, told]
    document = _element(release, "SpdxDocument", "document") | {
        "name": f"{release.model} {release.version}",
        "profileConformance": ["ai", "core", "simpleLicensing", "software"],
        "rootElement": [package["spdxId"]],
        "element": [element["spdxId"] for element in elements],
    }
    return [_creation(release), document, *elements]


def _id(release: Described, name: str) -> str:
    return f"urn:uuid:{release.uuid('spdx-3.0.1')}#{name}"


def _element(release: Described, kind: str, name: str) -> dict[str, Any]:
    return {"type": kind, "spdxId": _id(release, name), "creationInfo": _MADE}


def _time(release: Described) -> str:
    return release.released_at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _creation(release: Described) -> dict[str, Any]:
    return {
        "type": "CreationInfo",
        "@id": _MADE,
        "specVersion": SPEC,
        "created": _time(release),
        "createdBy": [_id(release, "registry")],
    }


def _registry(release: Described) -> dict[str, Any]:
    return _element(release, "SoftwareAgent", "registry") | {"name": f"Assay at {release.site}"}


def _owner(release: Described) -> dict[str, Any]:
    kind = "Organization" if release.organisation else "Person"
    return _element(release, kind, "owner") | {"name": release.owner}


def _file(release: Described, number: int) -> dict[str, Any]:
    file = release.files[number]
    return _element(release, "software_File", f"file-{number}") | {
        "name": file.path,
        "verifiedUsing": [_hash(file.sha256)],
    }


def _hash(sha256: str) -> dict[str, str]:
    return {"type": "Hash", "algorithm": "sha256", "hashValue": sha256}


def _relation(
    release: Described, name: str, source: str, kind: str, targets: list[str]
) -> dict[str, Any]:
    return _element(release, "Relationship", f"relationship-{name}") | {
        "from": source,
        "relationshipType": kind,
        "to": targets,
    }


def _licence(release: Described) -> dict[str, Any]:
    licence = licence_of(release.metadata)
    element = _element(release, "simplelicensing_LicenseExpression", "licence")
    if licence.spdx:
        return element | {"simplelicensing_licenseExpression": licence.spdx}
    if not licence.name:
        return {}
    reference = f"LicenseRef-{_REF.sub('-', licence.name).strip('-') or 'other'}"
    element |= {"simplelicensing_licenseExpression": reference}
    if licence.url:
        entry = {"type": "DictionaryEntry", "key": reference, "value": licence.url}
        element |= {"simplelicensing_customIdToUri": [entry]}
    return element


# ------------------------------------------------------------------ the package


def _package(release: Described) -> dict[str, Any]:
    task = text(release.metadata.get("pipeline_tag"))
    opsets = [f"{name} {version}" for name, version in release.facts.get("opsets", {}).items()]
    package = _element(release, "ai_AIPackage", "model") | {
        "name": release.model,
        "description": release.description,
        "releaseTime": _time(release),
        "suppliedBy": _id(release, "owner"),
        "software_downloadLocation": f"{release.site}/models/{release.model}/files/"
        f"?revision={release.revision}",
        "software_homePage": release.page,
        "software_packageVersion": release.version,
        "software_primaryPurpose": "model",
        "verifiedUsing": [_hash(release.graph_sha256)] if release.graph_sha256 else [],
        "ai_domain": [task] if task else [],
        "ai_typeOfModel": [f"ONNX graph, opset {', '.join(opsets)}"] if opsets else [],
        "ai_metric": _metrics(release),
        "ai_informationAboutTraining": _training(release),
        "ai_informationAboutApplication": release.section("use", "what it is for"),
        "ai_limitation": release.section("limitation", "fail", "bias", "risk", "out of scope"),
        "comment": _comment(release),
    }
    return {key: value for key, value in package.items() if value not in ("", [])}


def _comment(release: Described) -> str:
    said = [
        f"Manifest digest (SHA-256): {release.manifest}.",
        f"Revision: {release.revision}.",
        f"Signed by the key {release.key}.",
    ]
    if release.withheld:
        said.append(f"Moderators stopped the card, nothing of it is quoted: {release.withheld}")
    return " ".join(said)


def _metrics(release: Described) -> list[dict[str, str]]:
    found = {}
    for result in release.results:
        about = " ".join(word for word in (result.dataset, result.config, result.split) if word)
        found[f"{result.metric} on {about}" if about else result.metric] = result.value
    return [{"type": "DictionaryEntry", "key": key, "value": value} for key, value in found.items()]


def _training(release: Described) -> str:
    said = [release.section("training", "how it was made")]
    for words, key in (("Datasets named by the card", "datasets"), ("Made from", "base_model")):
        names = texts(release.metadata.get(key))
        if names:
            said.append(f"{words}: {', '.join(names)}.")
    return "\n\n".join(part for part in said if part)
