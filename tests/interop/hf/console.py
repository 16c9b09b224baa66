"""A Python with the site's rows at hand: for each line of JSON with code, one with its words."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import traceback

import django


def main() -> None:
    """Answer until the input ends."""
    django.setup()
    answers = sys.stdout
    for line in sys.stdin:
        words = io.StringIO()
        with contextlib.redirect_stdout(words):
            try:
                exec(json.loads(line), {})  # noqa: S102 (the code is a test's own)
                told = {"words": words.getvalue().strip()}
            except Exception:  # noqa: BLE001 (it is told to the test, whatever it is)
                told = {"error": traceback.format_exc()}
        answers.write(json.dumps(told) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
