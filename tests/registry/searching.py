"""What tests of lists and search need: models with cards, found by whoever asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry import finding, listing
from registry.choices import Visibility
from registry.finding import Filters
from registry.models import Model
from registry.rights import Caller
from tests import builders
from tests.people import Person


def card(body: str = "# A model\n", **metadata: str) -> bytes:
    lines = "".join(f"{key}: {value}\n" for key, value in metadata.items())
    return f"---\n{lines}---\n{body}".encode()


def publish(
    person: Person,
    name: str,
    body: str = "# A model\n",
    *,
    visibility: str = Visibility.PUBLIC,
    facts: Mapping[str, Any] | None = None,
    files: Mapping[str, bytes] | None = None,
    **metadata: str,
) -> Model:
    """Release a model of that name whose card has this text and metadata."""
    model = builders.make_model(person, name, visibility)
    tree = {"model.onnx": builders.ONNX, "README.md": card(body, **metadata), **(files or {})}
    report = {**builders.REPORT, "facts": {**builders.REPORT["facts"], **(facts or {})}}
    revision = builders.make_revision(person, model, tree, report=report)
    builders.publish_release(person, revision)
    model.refresh_from_db()
    return model


def names(
    text: str = "",
    user: Caller = None,
    *,
    sort: str = "",
    facets: tuple[tuple[str, str], ...] = (),
    **filters: Any,
) -> list[str]:
    """Return the names that a search finds, in its order, and see that the count is the same."""
    wanted = Filters(text=finding.clean(text, 200), facets=facets, **filters)
    found = listing.listing(user, wanted, sort=listing.sort_of(sort, wanted))
    counts = finding.count(listing.matches(user, wanted))
    assert (counts.total, counts.more) == (len(found.items), False)
    return [item.model.name for item in found.items]


def count_of(kind: str, value: str, user: Caller = None, text: str = "") -> int:
    """Return the number beside a value of a facet; 0 when it is not shown."""
    counts = finding.count(listing.matches(user, Filters(text=text)))
    return sum(one.count for one in counts.facets[kind] if one.value == value)
