"""The shell completes commands, options and what is known here, by typer's own protocol."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("typed", "known"),
    [
        ("assay ins", {"inspect"}),
        ("assay trust s", {"show"}),
        ("assay run --in", {"--input"}),
        ("assay inspect x --type ti", {"tile"}),
    ],
)
def test_bash_is_told_what_may_follow(typed: str, known: set[str]) -> None:
    words = typed.split(" ")
    script = "import sys; sys.argv[0] = 'assay'; from assay.cli import main; main()"
    asked = {
        "_ASSAY_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        check=False,
    )
    assert known <= set(done.stdout.split()), done.stdout + done.stderr
