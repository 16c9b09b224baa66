"""The house rules that no linter knows: size, and no HTTP below the edges."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
SILENCED = re.compile(r"(?:# noqa|# type: ignore|# pragma|eslint-disable)(?P<how>.*)")
REASON = re.compile(r"(?:: [A-Z0-9, ]+ \(\S.{5,}\)|\[[a-z-]+\]  # \S.{5,})")
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
APPS = {"inference", "ledger", "registry"}
HOMES = sorted(APPS | {"assay", "bench", "config", "static", "templates", "tests"})
KINDS = {".css", ".html", ".js", ".mjs", ".py"}
OTHERS = {"migrations", "vendor"}  # generated, or not ours
DOMAIN = {"models", "reader", "selectors", "sequencer", "services", "tasks"}
HTTP = {"django.http", "django.shortcuts", "django.template", "django.views"}


def sources(kinds: set[str]) -> Iterator[tuple[Path, str]]:
    for home in HOMES:
        for path in sorted((ROOT / home).rglob("*")):
            place = path.relative_to(ROOT)
            if place.suffix in kinds and OTHERS.isdisjoint(place.parts):
                yield place, path.read_text(encoding="utf-8")


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_file_has_more_than_500_lines() -> None:
    assert [place for place, text in sources(KINDS) if text.count("\n") > 500] == []


def test_no_function_has_more_than_50_lines() -> None:
    long = [
        f"{place}:{node.lineno} {node.name}"
        for place, text in sources({".py"})
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (node.end_lineno or 0) - node.lineno + 1 > 50
    ]
    assert long == []


def test_below_the_edges_nobody_knows_http() -> None:
    leaks = [
        f"{place}: {name}"
        for place, text in sources({".py"})
        if place.parts[0] in APPS and not DOMAIN.isdisjoint(place.with_suffix("").parts)
        for name in imported(ast.parse(text))
        if ".".join(name.split(".")[:2]) in HTTP
    ]
    assert leaks == []


def test_whatever_is_silenced_has_its_reason_beside_it() -> None:
    bare = [
        f"{place}:{number} {line.strip()}"
        for place, text in sources(KINDS)
        for number, line in enumerate(text.splitlines(), 1)
        if place != Path("tests/test_house.py")
        if (found := SILENCED.search(line)) and not REASON.fullmatch(found["how"])
    ]
    assert bare == []


def test_nothing_is_put_off_in_a_comment() -> None:
    left = [
        f"{place}:{number} {line.strip()}"
        for place, text in sources(KINDS)
        for number, line in enumerate(text.splitlines(), 1)
        if place != Path("tests/test_house.py") and UNFINISHED.search(line)
    ]
    assert left == []
