"""The README's commands, run as a reader would type them, against a running site.

`python -m tests.e2e.readme URL` runs them and writes their real output into README.md.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
SITE = "http://localhost:8000"  # by its name: the log speaks for `localhost`
_BLOCK = re.compile(r"(```console\n)(.*?)(```)", re.DOTALL)
_MASKS = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}"), "<id>"),
    (re.compile(r"\b[0-9a-f]{16,64}\b"), "<hex>"),
    (re.compile(r"[A-Za-z0-9+/]{40,}={0,2}"), "<base64>"),
    (re.compile(r"/\S*/(?=\.config|tour)"), "<folder>/"),
    (re.compile(r"\d+(?:\.\d+)?"), "<n>"),
)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One command line and what it printed."""

    command: str
    output: str


def exchanges(block: str) -> list[Exchange]:
    """Return the commands of one console block with their outputs."""
    found = []
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        found.append(Exchange(command, output))
    return found


def blocks() -> list[list[Exchange]]:
    """Return the exchanges of each console block of the README."""
    return [exchanges(match.group(2)) for match in _BLOCK.finditer(README.read_text())]


def mask(text: str) -> str:
    """Replace what differs from run to run: digests, ids, base64, folders, numbers."""
    for pattern, word in _MASKS:
        text = pattern.sub(word, text)
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip()


def perform(commands: list[str], url: str, home: Path, data: Path = ROOT / "var") -> list[str]:
    """Type `commands` into one shell at the root of the repository; return what each printed.

    `data` is the folder of the site at `url`.
    """
    tour = home / "tour"
    script = ["set +e", f"cd {ROOT}"]
    for command in commands:
        own = command.replace(SITE, url).replace("var/tour", str(tour))
        script += [own, "printf '\\001'"]
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={
            "HOME": str(home),
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "COLUMNS": "100",
            "DATA": str(data),
            "LC_ALL": "C.UTF-8",
        },
    )
    return done.stdout.split("\001")[: len(commands)]


def main() -> None:
    """Run the README against the site given, and write the outputs into it."""
    url = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        asked = [exchange.command for block in blocks() for exchange in block]
        said = iter(perform(asked, url, Path(folder)))

        def filled(match: re.Match[str]) -> str:
            lines = []
            for exchange in exchanges(match.group(2)):
                output = next(said).replace(url, SITE).replace(folder, "/home/you")
                shown = "\n".join(line.rstrip() for line in output.splitlines())
                lines.append(f"$ {exchange.command}\n{shown}".rstrip() + "\n")
            return match.group(1) + "".join(lines) + match.group(3)

        README.write_text(_BLOCK.sub(filled, README.read_text()))
    shutil.rmtree(ROOT / "var" / "tour", ignore_errors=True)


if __name__ == "__main__":
    main()
