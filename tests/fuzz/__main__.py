"""Let atheris search for bytes that break a parser's rules.

`python -m tests.fuzz TARGET [-runs=100000] [-max_total_time=600] …`: what follows the target is
libFuzzer's. `all` takes every target, the first byte chooses one. Without a target it lists them.
It ends with another status than 0, and the bytes in a file `crash-…`, when a rule is broken.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from assay.errors import AssayError

ALL = "all"


def main(arguments: list[str]) -> None:
    """Search until libFuzzer's options end it; it does not return."""
    atheris = import_module("atheris")
    with atheris.instrument_imports(include=["assay"]):
        targets = import_module("tests.fuzz.targets")
    name = arguments[0] if arguments else ""
    if name not in (ALL, *targets.TARGETS):
        sys.exit("targets: " + ", ".join((ALL, *targets.TARGETS)))
    chosen = list(targets.TARGETS.values()) if name == ALL else [targets.TARGETS[name]]
    with tempfile.TemporaryDirectory(prefix="assay-fuzz-") as folder:
        for number, seed in enumerate(_seeds(chosen)):
            (Path(folder) / str(number)).write_bytes(seed)
        atheris.Setup([sys.argv[0], *arguments[1:], folder], _search(chosen, targets.check))
        atheris.Fuzz()


def _seeds(chosen: list[Any]) -> list[bytes]:
    seeds_of = import_module("tests.fuzz.seeds").seeds_of
    if len(chosen) == 1:
        return list(seeds_of(chosen[0]))
    return [
        bytes([number]) + seed for number, target in enumerate(chosen) for seed in seeds_of(target)
    ]


def _search(chosen: list[Any], check: Callable[[Any, bytes], None]) -> Callable[[bytes], None]:
    def once(data: bytes) -> None:
        target, rest = chosen[0], data
        if len(chosen) > 1:
            target, rest = chosen[(*data, 0)[0] % len(chosen)], data[1:]
        try:
            check(target, rest)
        except AssayError:
            return

    return once


if __name__ == "__main__":
    main(sys.argv[1:])
