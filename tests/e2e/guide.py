"""A page of the documentation, done step by step as a reader would: in a browser and in a shell.

What is done stands in the page's own words, so that a page cannot say one thing and mean another:

- `open <http://127.0.0.1:8000/…>`, `press **X**`, `tick **X**`, ``write `v` into **X**``,
  ``choose `a` and `b` with **X**``, ``take `file` with **X**``, `draw a one` act in the browser;
  everything in bold is the name of a control, and has to stand in such a phrase;
- “words” in typographic quotes have to be on the page that is open;
- a picture of `docs/_screens` is taken when the reader gets there;
- blocks of `sh` are typed into a shell, and a block of `text` after one is a part of what it
  printed, where digests, ids and numbers may differ, and … stands for the rest of a line.

The site of the page is http://127.0.0.1:8000, and its folder is the root of the repository.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import FloatRect, Locator, Page, expect

from tests.e2e.conftest import ARTIFACTS
from tests.e2e.readme import mask
from tests.e2e.stack import ROOT
from tests.e2e.test_main_job import draw_a_one

SITE = "http://127.0.0.1:8000"
SCREENS = Path(os.environ.get("ASSAY_SCREENS", ARTIFACTS / "screens"))
WIDE, HIGH = 880, 540  # a picture of text is below 100 kB then
_FENCE = re.compile(r"^```(?P<kind>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = r"`[^`]+`"
_STEP = re.compile(
    r"\bopen <(?P<open>[^>]+)>"
    r"|\bpress \*\*(?P<press>[^*]+)\*\*"
    r"|\btick \*\*(?P<tick>[^*]+)\*\*"
    r"|\bwrite `(?P<value>[^`]+)` into \*\*(?P<write>[^*]+)\*\*"
    rf"|\bchoose (?P<files>{_FILE}(?:(?:, | and ){_FILE})*) with \*\*(?P<choose>[^*]+)\*\*"
    r"|\btake `(?P<file>[^`]+)` with \*\*(?P<take>[^*]+)\*\*"
    r"|\b(?P<draw>draw a one)\b"
    r"|“(?P<read>[^”]+)”"
    r"|!\[[^\]]+\]\(\.\./_screens/(?P<screen>[\w-]+\.png)\)",
    re.IGNORECASE,
)
_BOLD = re.compile(r"\*\*([^*]+)\*\*")
_SHORT = re.compile(r"\b[0-9a-f]{8,64}…")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that the page has its reader do, see or type."""

    kind: str
    what: str
    more: str = ""


def steps(text: str) -> Iterator[Step]:
    """Read the steps of a page in their order."""
    end = 0
    for fence in _FENCE.finditer(text):
        yield from _steps_of_prose(text[end : fence.start()])
        if fence["kind"] in ("sh", "text"):
            yield Step(kind=fence["kind"], what=fence["body"])
        end = fence.end()
    yield from _steps_of_prose(text[end:])


def _steps_of_prose(text: str) -> Iterator[Step]:
    for found in _STEP.finditer(" ".join(text.split())):
        told = {name: word for name, word in found.groupdict().items() if word}
        more = told.pop("value", "") or told.pop("files", "") or told.pop("file", "")
        ((kind, what),) = told.items()
        yield Step(kind=kind, what=what, more=more)


def controls_outside_of_steps(text: str) -> list[str]:
    """Return what is in bold, and in no phrase that is done."""
    prose = " ".join(_FENCE.sub("", text).split())
    named = [step.what for step in steps(text)]
    return [name for name in _BOLD.findall(prose) if name not in named]


@dataclass(slots=True, kw_only=True)
class Reader:
    """Somebody who does what the page says, in a folder that looks like the repository."""

    page: Page
    url: str
    home: Path
    printed: str = ""
    done: list[Step] = field(default_factory=list)

    def follow(self, text: str) -> None:
        """Do the whole page."""
        for name in (".venv", "examples"):
            target = Path(sys.prefix) if name == ".venv" else ROOT / name
            (self.home / name).symlink_to(target)
        self.page.set_viewport_size({"width": WIDE, "height": HIGH})
        for step in steps(text):
            self.page.wait_for_load_state()  # its scripts listen from then on
            getattr(self, f"_{step.kind}")(step.what, step.more)
            self.done.append(step)

    def _open(self, address: str, _: str) -> None:
        self.page.goto(address.replace(SITE, self.url))

    def _control(self, name: str) -> Locator:
        page = self.page
        found = page.get_by_role("button", name=name, exact=True)
        found = found.or_(page.get_by_role("link", name=name, exact=True))
        found = found.or_(page.locator("summary").get_by_text(name, exact=True))
        return found.locator("visible=true").first

    def _press(self, name: str, _: str) -> None:
        self._control(name).click()

    def _tick(self, name: str, _: str) -> None:
        self.page.get_by_label(name, exact=True).check()

    def _write(self, name: str, value: str) -> None:
        self.page.get_by_label(name, exact=True).fill(value)

    def _choose(self, name: str, files: str) -> None:
        chosen = [self.home / file for file in re.findall(r"`([^`]+)`", files)]
        self.page.get_by_label(name, exact=True).set_input_files(chosen)

    def _take(self, name: str, file: str) -> None:
        with self.page.expect_download() as download:
            self._control(name).click()
        assert download.value.suggested_filename == file
        download.value.save_as(self.home / file)

    def _draw(self, *_: str) -> None:
        draw_a_one(self.page)

    def _read(self, words: str, _: str) -> None:
        expect(self.page.locator("body")).to_contain_text(words)
        there = self.page.get_by_text(words).locator("visible=true")
        if there.count():  # not the value of a field
            there.first.evaluate("one => one.scrollIntoView({ block: 'center' })")

    def _screen(self, name: str, _: str) -> None:
        SCREENS.mkdir(parents=True, exist_ok=True)
        top = self.page.evaluate("scrollY")
        # Of the whole page, since what has just come into view may not be drawn yet.
        clip: FloatRect = {"x": 0, "y": top, "width": WIDE, "height": HIGH}
        self.page.screenshot(path=SCREENS / name, animations="disabled", full_page=True, clip=clip)

    def _sh(self, lines: str, _: str) -> None:
        done = subprocess.run(
            ["bash", "-c", "set -e\n" + lines.replace(SITE, self.url)],
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env={
                "HOME": str(self.home),
                "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
                "LC_ALL": "C.UTF-8",
            },
        )
        assert done.returncode == 0, f"{lines}\n{done.stdout}"
        self.printed = done.stdout

    def _text(self, shown: str, _: str) -> None:
        pattern = re.escape(mask(_SHORT.sub("<hex>", shown))).replace("…", "[^\n]*")
        assert re.search(pattern, mask(self.printed)), self.printed
