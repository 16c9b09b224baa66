"""The rules of CycloneDX 1.6 and 1.7 for the objects that our bills of materials hold.

Written down from the specification (ECMA-424): which fields an object may have, which it must
have, what each holds. An unknown field is a fault, as the official schema says of these objects.
The official validator is asked too (`test_exports.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Rule = Callable[[Any, str], Iterator[str]]
URN = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
REFERENCES = ("model-card", "distribution", "attestation", "digital-signature")


def text(value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, str) or not value:
        yield f"{path}: a text"


def like(pattern: re.Pattern[str]) -> Rule:
    def rule(value: Any, path: str) -> Iterator[str]:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            yield f"{path}: like {pattern.pattern}"

    return rule


def one_of(*values: object) -> Rule:
    def rule(value: Any, path: str) -> Iterator[str]:
        if value not in values:
            yield f"{path}: one of {values}, not {value!r}"

    return rule


def many(inner: Rule) -> Rule:
    def rule(value: Any, path: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield f"{path}: a list"
            return
        for number, item in enumerate(value):
            yield from inner(item, f"{path}[{number}]")

    return rule


def fields(required: Mapping[str, Rule], **optional: Rule) -> Rule:
    def rule(value: Any, path: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{path}: an object"
            return
        for name in sorted(required.keys() - value.keys()):
            yield f"{path}.{name}: missing"
        for name, item in value.items():
            known = required.get(name) or optional.get(name)
            if known is None:
                yield f"{path}.{name}: unknown"
            else:
                yield from known(item, f"{path}.{name}")

    return rule


url = like(re.compile(r"https?://[!-~]+"))
hashes = many(fields({"alg": one_of("SHA-256"), "content": like(re.compile(r"[0-9a-f]{64}"))}))
properties = many(fields({"name": text, "value": text}))
port = fields({"format": text})
card = fields(
    {},
    modelParameters=fields(
        {},
        task=text,
        modelArchitecture=text,
        datasets=many(fields({"type": one_of("dataset"), "name": text})),
        inputs=many(port),
        outputs=many(port),
    ),
    quantitativeAnalysis=fields(
        {},
        performanceMetrics=many(fields({}, type=text, value=text, slice=text)),
    ),
    considerations=fields(
        {},
        useCases=many(text),
        technicalLimitations=many(text),
        ethicalConsiderations=many(fields({}, name=text, mitigationStrategy=text)),
        environmentalConsiderations=fields({}, properties=properties),
    ),
)
model = fields(
    {"type": one_of("machine-learning-model"), "name": text},
    **{"bom-ref": text},
    group=text,
    version=text,
    publisher=text,
    description=text,
    hashes=hashes,
    licenses=many(fields({"license": fields({}, id=text, name=text, url=url)})),
    components=many(
        fields({"type": one_of("file"), "name": text}, hashes=hashes, **{"bom-ref": text})
    ),
    pedigree=fields(
        {},
        ancestors=many(fields({"type": one_of("machine-learning-model"), "name": text})),
    ),
    externalReferences=many(fields({"type": one_of(*REFERENCES), "url": url})),
    modelCard=card,
    properties=properties,
)


def faults(document: Any, version: str) -> list[str]:
    """Return what is wrong with a bill of materials; unique references are part of it."""
    rule = fields(
        {
            "bomFormat": one_of("CycloneDX"),
            "specVersion": one_of(version),
            "serialNumber": like(URN),
            "version": one_of(1),
            "metadata": fields({"timestamp": like(TIME), "component": model}),
        }
    )
    found = list(rule(document, "$"))
    component = document["metadata"]["component"]
    refs = [component["bom-ref"], *(item["bom-ref"] for item in component["components"])]
    if len(set(refs)) != len(refs):
        found.append("a bom-ref stands twice")
    licenses = [item["license"] for item in component.get("licenses", [])]
    found += [
        "a licence has an id or a name" for item in licenses if ("id" in item) == ("name" in item)
    ]
    return found
