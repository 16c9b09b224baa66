"""What is not documented fails: settings, commands, error codes, endpoints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"
APPS = ("config", "inference", "ledger", "registry")
_ENV = re.compile(r"env\.(?:text|boolean|integer|words)\(\s*\"([A-Z_]+)\"")
_CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>")
_CODE = re.compile(r"^    code = \"([a-z_]+)\"$", re.MULTILINE)


def page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def error_codes() -> list[str]:
    """Return the codes of all error classes, in whatever module they stand."""
    sources = [path for app in APPS for path in (ROOT / app).rglob("*.py")]
    return sorted({code for path in sources for code in _CODE.findall(path.read_text("utf-8"))})


def addresses(patterns: list[Any], prefix: str = "") -> Iterator[str]:
    for item in patterns:
        route = prefix + str(item.pattern)
        if isinstance(item, URLResolver):
            yield from addresses(item.url_patterns, route)
        elif isinstance(item, URLPattern):
            yield "/" + _CONVERTER.sub(r"{\1}", route)


@pytest.mark.parametrize(
    "name", sorted(set(_ENV.findall((ROOT / "config/settings.py").read_text())))
)
def test_every_setting_of_the_environment_is_documented(name: str) -> None:
    assert f"`{name}`" in page("settings.md")


@pytest.mark.parametrize(
    "command",
    sorted(
        path.stem
        for app in APPS
        for path in (ROOT / app / "management" / "commands").glob("[a-z]*.py")
    ),
)
def test_every_command_is_documented(command: str) -> None:
    assert f"`manage.py {command}" in page("commands.md")


@pytest.mark.parametrize("code", error_codes())
def test_every_error_code_is_documented(code: str) -> None:
    assert f"`{code}`" in page("errors.md")


def test_every_endpoint_for_programs_is_documented() -> None:
    api = page("api.md")
    routes = list(addresses(get_resolver("config.urls_plain").url_patterns))
    routes += [
        route
        for route in addresses(get_resolver("config.urls").url_patterns)
        if route.startswith("/api/")
    ]
    assert [route for route in routes if "^" not in route and f"`{route}`" not in api] == []


def test_every_page_is_documented() -> None:
    """Below `/admin/`, only what is ours; a pattern (`^`) is that of a link in a message."""
    text = page("pages.md") + page("api.md")
    routes = addresses(get_resolver("config.urls").url_patterns)
    pages = [
        route for route in routes if not route.startswith("/admin/") or "/admin/state/" in route
    ]
    assert [route for route in pages if "^" not in route and f"`{route}`" not in text] == []


def test_no_page_is_documented_that_is_not_there() -> None:
    known = set(addresses(get_resolver("config.urls").url_patterns)) | {"/admin/"}
    listed = re.findall(r"^\| `(/[^`]*)` \|", page("pages.md"), re.MULTILINE)
    assert [route for route in listed if route not in known] == []
