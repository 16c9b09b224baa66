"""`python -m tests.kill`: let everything at the points happen, and write the page about it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest


def main() -> int:
    """Return the exit code of the test run."""
    os.environ["WRITE_KILL_TABLE"] = "1"
    code = pytest.main([str(Path(__file__).parent / "test_kills.py"), "-q", "-k", "at_a_point"])
    if code == pytest.ExitCode.OK:
        # The settings are read now, and the test run's own module has what happened.
        sys.modules["tests.kill.table"].write()
    return code


if __name__ == "__main__":
    sys.exit(main())
