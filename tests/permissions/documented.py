"""Whether an answer of the REST API is one that the document of the API describes.

Objects of the document are closed for this: a field that it does not name is a fault.
"""

from __future__ import annotations

import json
import re
from copy import deepcopy
from functools import cache
from typing import Any

from django.urls import resolve
from jsonschema import Draft202012Validator

from config.openapi.pages import document

_CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>")


def template(route: str) -> str:
    """Return a pattern of the URL map as the document spells it."""
    return "/" + _CONVERTER.sub(r"{\1}", route)


def faults(method: str, path: str, answer: Any) -> list[str]:
    """Return what of `answer` the document does not say."""
    place = template(resolve(path.partition("?")[0]).route)
    told = strict()["paths"][place][method.lower()]["responses"].get(str(answer.status_code))
    where = f"{method} {place}: {answer.status_code}"
    if told is None:
        return [f"{where} {_code(answer)} is not documented"]
    told = _followed(told)
    content = told.get("content", {})
    if answer.streaming or not content:
        has_body = not answer.streaming and bool(answer.content)
        return [f"{where} has a body"] if has_body else []
    kind = answer["Content-Type"].partition(";")[0]
    if kind not in content and "*/*" not in content:
        return [f"{where} is {kind}"]
    if kind != "application/json":
        return []
    schema = {**content[kind]["schema"], "components": strict()["components"]}
    found = Draft202012Validator(schema).iter_errors(json.loads(answer.content))
    return [f"{where} {_code(answer)} {error.json_path}: {_words(error)}" for error in found]


def _words(error: Any) -> str:
    inner = [one.message[:200] for one in error.context or ()]
    return "; ".join([str(error.message)[:200], *inner])


def _code(answer: Any) -> str:
    if answer.streaming or answer.get("Content-Type") != "application/json":
        return ""
    body = json.loads(answer.content)
    told = body.get("error") if isinstance(body, dict) else None
    return str(told["code"]) if isinstance(told, dict) and "code" in told else ""


def _followed(told: dict[str, Any]) -> dict[str, Any]:
    reference = told.get("$ref")
    if reference is None:
        return told
    found: dict[str, Any] = strict()["components"]["responses"][reference.rpartition("/")[2]]
    return found


@cache
def strict() -> dict[str, Any]:
    """Return the document with every object closed, but in problems, which say it twice."""
    made = deepcopy(document())
    problems = made["components"].pop("responses")
    _close(made)
    made["components"]["responses"] = problems
    return made


def _close(value: Any) -> None:
    if isinstance(value, list):
        for item in value:
            _close(item)
    if not isinstance(value, dict):
        return
    if value.get("type") == "object" and "properties" in value:
        value.setdefault("additionalProperties", False)
    for item in value.values():
        _close(item)
