"""The start of a card, made from the facts that the inspection read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from registry.models import Model

_SHORT = """\
---
license: unknown
library_name: onnx
tags: []
---

# {name}

<What the model does, in one sentence.>

## What goes in, what comes out

| tensor | datatype and shape | meaning |
|---|---|---|
{rows}

## How it was made

<Data, method, and who made it.>

## How good it is

<Measured on which data, with which result.>

## Where it fails

<What it was not made for.>
"""
_DETAILED = """\
---
license: unknown
library_name: onnx
pipeline_tag: other
language: []
datasets: []
metrics: []
tags: []
---

# {name}

<What the model does, in one sentence.>

## Intended uses

<Who should use it, for what, on which data.>

## What goes in, what comes out

| tensor | datatype and shape | meaning |
|---|---|---|
{rows}

<How an input is prepared, and how an output is read.>

## Training

<Which data, from where, with whose consent; which method; how long, on what.>

## Evaluation

<Measured on which data, split and metric, with which result. Say so in model-index too.>

## Limitations, bias and risks

<Where it fails, for whom it is worse, what it must not be used for.>

## Environment

<What its training took.>

## Contact

<Who answers questions.>
"""
_DERIVED = """\
---
license: unknown
library_name: onnx
base_model: []
base_model_relation: finetune
tags: []
---

# {name}

<What this model does that its parent does not.>

## What goes in, what comes out

| tensor | datatype and shape | meaning |
|---|---|---|
{rows}

## How it was made from its parent

<What was changed: data and method, or the numbers of a quantization.>

## How good it is

<Measured on the same data as the parent: both results.>

## Where it fails

<What it lost, and what it inherits.>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A card to start from."""

    key: str
    title: str
    text: str


TEMPLATES = (
    Template(key="short", title="a short card", text=_SHORT),
    Template(key="detailed", title="a detailed card", text=_DETAILED),
    Template(key="derived", title="a card for a model made from another", text=_DERIVED),
)
TEMPLATE_KEYS = tuple(template.key for template in TEMPLATES)


def draft_card(model: Model, facts: dict[str, Any], template: str = "") -> str:
    """Return a README.md to begin with; what a person has to say stands in angle brackets.

    `template` is one of `TEMPLATE_KEYS`; any other word is the first.
    """
    chosen = next((one for one in TEMPLATES if one.key == template), TEMPLATES[0])
    ports = [*facts.get("inputs", ()), *facts.get("outputs", ())]
    return chosen.text.format(name=model.name, rows="\n".join(_rows(ports)) or "| | | |")


def _rows(ports: Iterable[dict[str, Any]]) -> Iterable[str]:
    for port in ports:
        shape = ", ".join("N" if size == -1 else str(size) for size in port["shape"] or [])
        name = port["name"].replace("|", "\\|").replace("`", "'")
        yield f"| `{name}` | {port['datatype']} [{shape}] | <meaning> |"
