"""What a page costs to load: itself, and everything that it loads, compressed as it is served."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from tests.pages.html import parse

ROOT = Path(__file__).parent.parent.parent
STATIC = "/static/"
MODULES = re.compile(r"""^(?:import|export)\b[^;]*?from\s*["'](\.[^"']+)["']""", re.MULTILINE)
SQUEEZED = {".woff2", ".png"}  # compressed by their format
TEXT_FONT = "fonts/ibm-plex-mono-latin-400-normal.woff2"  # every page shows some digest


def weight(html: str, later: Iterable[str] = ()) -> dict[str, int]:
    """Return the bytes of a page (under "") and of each file that it loads by itself.

    `later` are scripts that it loads by `import()`, once it stands.
    """
    found = {"": len(gzip.compress(html.encode(), 6))}
    page = parse(html)
    linked = [tag.attributes["src"] for tag in page.all("script") if "src" in tag.attributes]
    linked += [
        tag.attributes["href"]
        for tag in page.all("link")
        if tag.attributes.get("rel") in ("stylesheet", "icon", "modulepreload")
    ]
    linked += [tag.attributes["src"] for tag in page.all("img")]
    for address in linked:
        if address.startswith(STATIC):
            _add(found, address.removeprefix(STATIC))
    for name in (TEXT_FONT, *later):
        _add(found, name)
    return found


def _add(found: dict[str, int], name: str) -> None:
    """Count a file once, and a script with the modules that it imports."""
    if name in found:
        return
    found[name] = _size(name)
    if name.endswith((".js", ".mjs")):
        for other in _imports(name):
            _add(found, other)


@cache
def _size(name: str) -> int:
    data = _bytes(name)
    return len(data) if Path(name).suffix in SQUEEZED else len(gzip.compress(data, 6))


@cache
def _imports(name: str) -> list[str]:
    here = (ROOT / "static" / name).parent
    text = _bytes(name).decode()
    paths = [(here / other).resolve() for other in MODULES.findall(text)]
    return [str(path.relative_to(ROOT / "static")) for path in paths]


def _bytes(name: str) -> bytes:
    path = ROOT / "static" / name
    if path.is_file():
        return path.read_bytes()
    from django.contrib.staticfiles import finders

    found = finders.find(name)
    assert found, f"{name} is no static file"
    return Path(found).read_bytes()
