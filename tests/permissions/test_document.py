"""The document of the REST API is true: what people really get is what it says they may get."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.core.cache import caches
from django.db import transaction
from django.test import Client

from config.openapi.pages import document
from config.openapi.schema import operations
from tests.permissions import table
from tests.permissions.documented import faults, template
from tests.permissions.scene import Scene
from tests.permissions.table import Row
from tests.permissions.test_matrix import GROUPS
from tests.permissions.urlmap import routes

API = "/api/v1/"
# The document and its page are about the API, and no part of it.
ABOUT = {"/api/v1/openapi.json", "/api/v1/openapi.yaml", "/api/v1/docs/"}
ASKING = ("owner", "mallory", "anonymous")


def rest_rows() -> list[Row]:
    rows = [row for group in GROUPS.values() for row in group]
    return [row for row in rows if row.path.startswith(API) and _place(row.path) not in ABOUT]


def _place(path: str) -> str:
    return path.partition("?")[0]


@pytest.mark.parametrize("part", range(2))
def test_nobody_gets_an_answer_that_is_not_documented(
    part: int, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong: list[str] = []
    asked = 0
    for row in rest_rows()[part::2]:
        for method in row.methods:
            sent = row.send(scene) if callable(row.send) else row.send
            for person in ASKING:
                asked += 1
                wrong += _asked(scene, row, method, person, sent, monkeypatch)
    assert asked > 50
    assert not wrong, "\n".join(["", *dict.fromkeys(wrong)])


def _asked(
    scene: Scene, row: Row, method: str, person: str, sent: Any, patch: pytest.MonkeyPatch
) -> list[str]:
    seen: list[Any] = []
    real = Client.generic

    def noted(self: Client, *args: Any, **more: Any) -> Any:
        seen.append(real(self, *args, **more))
        return seen[-1]

    caches["default"].clear()
    with transaction.atomic(), patch.context() as inner:
        inner.setattr(Client, "generic", noted)
        table.ask(scene, row, method, person, sent)
        transaction.set_rollback(True)
    return faults(method, scene.at(row.path), seen[0])


def test_every_method_of_every_address_is_in_the_document() -> None:
    there = {
        (place, method.upper())
        for place, methods in document()["paths"].items()
        for method in methods
    }
    wanted = {(template(route), method) for route, method in routes()}
    assert there == {one for one in wanted if one[0].startswith(API) and one[0] not in ABOUT}


def test_the_tables_tell_of_nothing_that_is_not_there() -> None:
    told = {one.id for _, one in operations().values()}
    found = [
        operation["operationId"]
        for methods in document()["paths"].values()
        for operation in methods.values()
    ]
    assert len(found) == len(set(found))
    assert set(found) == told


def test_every_operation_has_a_title_a_chapter_and_words() -> None:
    chapters = {tag["name"] for tag in document()["tags"]}
    for place, methods in document()["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {place}"
            assert operation["summary"], where
            assert set(operation["tags"]) <= chapters, where
            assert operation["description"].endswith("."), where


def test_every_reference_leads_somewhere_and_every_part_is_referred_to() -> None:
    made = document()
    named = set(re.findall(r'"#/components/([^"]+)"', json.dumps(made)))
    there = {
        f"{kind}/{name}"
        for kind, parts in made["components"].items()
        if kind != "securitySchemes"
        for name in parts
    }
    assert named == there
