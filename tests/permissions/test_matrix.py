"""The permission matrix: everybody at every address with every method, by real requests.

The rows are read beside Django's URL map. An address or a method without a row fails here, and so
does a row that leads nowhere: whoever adds an endpoint says who may use it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from django.core.cache import caches
from django.db import transaction

from tests.permissions import (
    rows_accounts,
    rows_hub,
    rows_inference,
    rows_ledger,
    rows_models,
    rows_moderation,
    rows_pages,
    rows_people,
    rows_plain,
)
from tests.permissions.scene import Scene
from tests.permissions.table import PEOPLE, Row, ask
from tests.permissions.urlmap import METHODS, Route, route_of, routes

GROUPS = {
    module.__name__.rpartition("_")[2]: module.ROWS
    for module in (
        rows_accounts,
        rows_hub,
        rows_inference,
        rows_ledger,
        rows_models,
        rows_moderation,
        rows_pages,
        rows_people,
        rows_plain,
    )
}
ROWS = [row for rows in GROUPS.values() for row in rows]


def cells(scene: Scene, row: Row, method: str) -> list[int]:
    """Return what each of PEOPLE gets; what a request wrote is rolled back before the next."""
    sent = row.send(scene) if callable(row.send) else row.send
    found = []
    for person in PEOPLE:
        caches["default"].clear()  # where allauth counts guesses
        with transaction.atomic():
            found.append(ask(scene, row, method, person, sent))
            transaction.set_rollback(True)
    return found


def told(statuses: Any) -> str:
    return " ".join(map(str, statuses))


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_everybody_gets_what_the_matrix_says(group: str, scene: Scene) -> None:
    wrong = []
    for row in GROUPS[group]:
        for method in row.methods:
            found = cells(scene, row, method)
            if tuple(found) != row.gets:
                wrong.append(f"{method} {row.path}: {told(found)}, not {told(row.gets)}")
    if group != "accounts":  # allauth leads on before it looks at the method
        wrong += taken(scene, GROUPS[group])
    assert not wrong, "\n".join(["", *wrong])


def taken(scene: Scene, rows: list[Row]) -> list[str]:
    """Return the methods beside the URL map's that alice is not refused: there must be none."""
    known = routes()
    asked = {route_of(_sample(row.path), row.urlconf): row for row in rows}
    wrong = []
    for route, row in asked.items():
        for method in METHODS:
            if (route, method) in known:
                continue
            with transaction.atomic():
                status = ask(scene, row, method, "owner", None)
                transaction.set_rollback(True)
            if status != 405:
                wrong.append(f"{method} {row.path}: {status}, not 405")
    return wrong


def listed() -> Counter[Route]:
    """Count the rows of each pattern and method; what leads nowhere is under the pattern ""."""
    return Counter(
        (route_of(_sample(row.path), row.urlconf), method) for row in ROWS for method in row.methods
    )


def _sample(path: str) -> str:
    return path.format_map(_Samples())


class _Samples(dict[str, str]):
    """Any place, spelled so that the converters of the URL map take it."""

    def __missing__(self, place: str) -> str:
        if place in ("open", "secret", "gated"):
            return f"acme/{place}"
        if place in ("key", "own_key") or place.endswith("_blob"):
            return "0" * 64
        if place in ("offered", "asked", "entry") or place.endswith("_publisher"):
            return "1"
        if place.endswith(("_release", "_draft", "_failed")):
            return "0" * 40
        return "00000000-0000-0000-0000-000000000000"


def test_every_address_and_method_has_a_row() -> None:
    assert sorted(routes() - set(listed())) == []


def test_every_row_is_about_an_address_and_a_method_that_exist() -> None:
    assert sorted(set(listed()) - routes()) == []


def test_no_row_stands_twice() -> None:
    spelled = Counter((row.path, row.note, method) for row in ROWS for method in row.methods)
    assert [found for found, count in spelled.items() if count > 1] == []
