from __future__ import annotations

from pathlib import Path

import pytest
from django.template.loader import get_template

TEMPLATES = Path(__file__).parent.parent.parent / "templates"
NAMES = sorted(str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*.html"))


@pytest.mark.parametrize("name", NAMES)
def test_every_template_loads(name: str) -> None:
    get_template(name)


@pytest.mark.parametrize("name", NAMES)
def test_no_template_has_code_or_style_in_it(name: str) -> None:
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    assert "style=" not in text
    assert "<style" not in text
    assert "javascript:" not in text
    assert "hx-on" not in text


def test_every_include_exists() -> None:
    missing = [
        (name, part)
        for name in NAMES
        for part in _parts((TEMPLATES / name).read_text(encoding="utf-8"))
        if part.split("/")[0] in {"components", "publish", "registry", "settings", "inference"}
        and not (TEMPLATES / part).is_file()
    ]
    assert missing == []


def _parts(text: str) -> list[str]:
    return [piece.split('"')[0] for piece in text.split('{% include "')[1:]]
