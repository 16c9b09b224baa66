"""The start of a card, made from the facts that the inspection read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from registry.models import Model

_CARD = """\
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


def draft_card(model: Model, facts: dict[str, Any]) -> str:
    """Return a README.md to begin with; what a person has to say stands in angle brackets."""
    ports = [*facts.get("inputs", ()), *facts.get("outputs", ())]
    return _CARD.format(name=model.name, rows="\n".join(_rows(ports)) or "| | | |")


def _rows(ports: Iterable[dict[str, Any]]) -> Iterable[str]:
    for port in ports:
        shape = ", ".join("N" if size == -1 else str(size) for size in port["shape"] or [])
        name = port["name"].replace("|", "\\|").replace("`", "'")
        yield f"| `{name}` | {port['datatype']} [{shape}] | <meaning> |"
