"""Print the corpus as the lines that tests/js/verdict.mjs reads."""

from __future__ import annotations

import sys

from tests.forgeries.corpus import questions

if __name__ == "__main__":
    for asked in questions():
        sys.stdout.write(f"{asked.line()}\n")
