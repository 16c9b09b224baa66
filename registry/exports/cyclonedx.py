"""CycloneDX 1.6 and 1.7: a bill of materials with the model's card (ECMA-424).

The model is the document's component; its files are components in it. What the inspection read
stands in `modelParameters` and the `assay:` properties; everything else in the card is the
publisher's claim, metrics among it. Fields of which nothing is known are left out. Where moderators
stopped the card, the property `assay:card-withheld` has the address of their action.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from assay.canonical import canonical_json
from assay.statements import timestamp
from registry.exports.described import Described
from registry.exports.licenses import licence_of
from registry.services.card_fields import texts
from registry.services.evaluations import text

VERSIONS = ("1.6", "1.7")
KIND = "machine-learning-model"


def render(release: Described, version: str) -> bytes:
    """Return the bill of materials of `release` in `version`, one of `VERSIONS`."""
    return canonical_json(
        {
            "bomFormat": "CycloneDX",
            "specVersion": version,
            "serialNumber": release.uuid(f"cyclonedx-{version}").urn,
            "version": 1,
            "metadata": {
                "timestamp": timestamp(release.released_at),
                "component": _component(release),
            },
        }
    )


def _component(release: Described) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": KIND,
        "bom-ref": f"model:{release.model}@{release.revision}",
        "group": release.owner,
        "name": release.name,
        "version": release.version,
        "publisher": release.owner,
        "description": release.description,
        "hashes": [_hash(release.graph_sha256)] if release.graph_sha256 else [],
        "licenses": _licenses(release),
        "components": [
            {
                "type": "file",
                "bom-ref": f"file:{file.path}",
                "name": file.path,
                "hashes": [_hash(file.sha256)],
            }
            for file in release.files
        ],
        "pedigree": _pedigree(release),
        "externalReferences": _references(release),
        "modelCard": _card(release),
        "properties": _properties(release),
    }
    return _filled(component)


def _properties(release: Described) -> list[dict[str, str]]:
    found = {
        "assay:manifest": release.manifest,
        "assay:revision": release.revision,
        "assay:key": release.key,
        "assay:card-withheld": release.withheld,
    }
    return [{"name": name, "value": value} for name, value in found.items() if value]


def _filled(value: dict[str, Any]) -> dict[str, Any]:
    """Return `value` without the keys that say nothing."""
    return {key: item for key, item in value.items() if item not in ("", [], {})}


def _hash(sha256: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": sha256}


def _licenses(release: Described) -> list[dict[str, Any]]:
    licence = licence_of(release.metadata)
    if licence.spdx:
        return [{"license": {"id": licence.spdx}}]
    if licence.name:
        return [{"license": _filled({"name": licence.name, "url": licence.url})}]
    return []


def _pedigree(release: Described) -> dict[str, Any]:
    names = texts(release.metadata.get("base_model"))
    return {"ancestors": [{"type": KIND, "name": name} for name in names]} if names else {}


def _references(release: Described) -> list[dict[str, str]]:
    files = f"{release.site}/models/{release.model}/files/{release.revision}"
    found = [
        {"type": "model-card", "url": f"{files}/README.md"},
        {"type": "attestation", "url": f"{release.page}release.sigstore.json"},
        {"type": "digital-signature", "url": f"{release.page}model.sig"},
    ]
    if release.graph_path:
        found.append({"type": "distribution", "url": f"{files}/{quote(release.graph_path)}"})
    return found


# ------------------------------------------------------------------ the card


def _card(release: Described) -> dict[str, Any]:
    analysis = {"performanceMetrics": _metrics(release)}
    return _filled(
        {
            "modelParameters": _parameters(release),
            "quantitativeAnalysis": _filled(analysis),
            "considerations": _considerations(release),
        }
    )


def _parameters(release: Described) -> dict[str, Any]:
    facts, metadata = release.facts, release.metadata
    opsets = [f"{domain} {version}" for domain, version in facts.get("opsets", {}).items()]
    return _filled(
        {
            "task": text(metadata.get("pipeline_tag")),
            "modelArchitecture": f"ONNX graph, opset {', '.join(opsets)}" if opsets else "",
            "datasets": [
                {"type": "dataset", "name": name} for name in texts(metadata.get("datasets"))
            ],
            "inputs": [{"format": port_format(port)} for port in facts.get("inputs", ())],
            "outputs": [{"format": port_format(port)} for port in facts.get("outputs", ())],
        }
    )


def port_format(port: dict[str, Any]) -> str:
    """Return a tensor as `FP32[N,3,224,224]`; a free dimension has its name, or `?`."""
    sizes = ["?" if size in (None, -1, "") else str(size) for size in port.get("shape") or ()]
    return f"{port.get('datatype') or '?'}[{','.join(sizes)}]"


def _metrics(release: Described) -> list[dict[str, Any]]:
    found = []
    for result in release.results:
        about = " ".join(word for word in (result.dataset, result.config, result.split) if word)
        found.append(_filled({"type": result.metric, "value": result.value, "slice": about}))
    return found


def _considerations(release: Described) -> dict[str, Any]:
    uses = release.section("use", "what it is for")
    limits = release.section("limitation", "fail", "out of scope", "out-of-scope")
    ethics = release.section("bias", "risk", "ethic")
    emissions = text(release.metadata.get("co2_eq_emissions"))
    return _filled(
        {
            "useCases": [uses] if uses else [],
            "technicalLimitations": [limits] if limits else [],
            "ethicalConsiderations": [{"name": ethics}] if ethics else [],
            "environmentalConsiderations": (
                {"properties": [{"name": "co2_eq_emissions", "value": emissions}]}
                if emissions
                else {}
            ),
        }
    )
