"""The pages keep their promises: every example runs, and no page leads to a strange host."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.md"))
OUTSIDE = [ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md", "THREAT_MODEL.md")]
FENCE = re.compile(r"^```\{doctest\}\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FLAGS = doctest.ELLIPSIS | doctest.DONT_ACCEPT_TRUE_FOR_1
MACHINE = re.compile(r"(?<![\w.])/(?:home|root|work|Users)/")
HOST = re.compile(r"https?://([\w-]+(?:\.[\w-]+)*)")
# This machine, names reserved for examples, and the names of standards' types, which are no hosts.
HOSTS = re.compile(
    r"127\.0\.0\.1|localhost|(?:\w+\.)*example\.(?:org|net)|in-toto\.io|model_signing"
)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def examples(text: str) -> str:
    """Return the examples of a page on their own lines, everything else blank."""
    kept = [""] * (text.count("\n") + 1)
    for match in FENCE.finditer(text):
        first = text.count("\n", 0, match.start(1))
        kept[first : first + match[1].count("\n")] = match[1].splitlines()
    return "\n".join(kept)


WITH_EXAMPLES = [page for page in PAGES if ">>> " in page.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=name)
def test_the_examples_of_a_page_give_what_they_show(page: Path) -> None:
    text = examples(page.read_text(encoding="utf-8"))
    found = doctest.DocTestParser().get_doctest(text, {}, name(page), str(page), 0)
    told: list[str] = []
    result = doctest.DocTestRunner(optionflags=FLAGS).run(found, out=told.append)
    assert result.failed == 0, "".join(told)
    assert result.attempted > 0


def test_every_page_of_the_formats_has_an_example() -> None:
    pages = [page for page in PAGES if page.parent.name == "formats"]
    assert pages
    assert [name(page) for page in pages if page not in WITH_EXAMPLES] == []


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=name)
def test_no_example_stands_outside_a_block_that_is_run(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert ">>> " not in FENCE.sub("", text)


@pytest.mark.parametrize("page", [*PAGES, *OUTSIDE], ids=name)
def test_no_page_names_a_strange_host_or_a_folder_of_a_machine(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert MACHINE.search(text) is None
    assert [host for host in HOST.findall(text) if HOSTS.fullmatch(host) is None] == []


@pytest.mark.parametrize("page", [*PAGES, *OUTSIDE], ids=name)
def test_no_line_of_a_page_is_over_long(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    # A table's row and what a program printed cannot be broken.
    fenced = FENCE.sub("", "\n".join(lines)).splitlines()
    assert [line for line in fenced if len(line) > 120 and not line.startswith("|")] == []
