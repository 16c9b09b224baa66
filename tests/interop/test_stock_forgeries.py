"""Stock programs on the forged corpus: they refuse what Assay refuses, or it is a known difference.

A difference that is in no list fails, and so does one in the list that no forgery shows any more:
then the program, or the corpus, has changed, and the page that tells of it must too.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from model_signing import verifying

from tests.forgeries import honest
from tests.forgeries.corpus import questions
from tests.forgeries.lies import OK
from tests.forgeries.question import Question
from tests.interop.differences import (
    COSIGN,
    DIFFERENCES,
    MODEL_SIGNING,
    SIGSTORE_JS,
    Difference,
)

pytestmark = pytest.mark.stock
PAGE = Path(__file__).parent.parent.parent / "docs" / "reference" / "interop.md"
MANY = Path(__file__).parent / "js" / "verify-many.mjs"
TOGETHER = 2  # processes of cosign at a time


def bundles() -> list[Question]:
    """Every forgery of the bundle of a release, the reader's pins being the honest ones."""
    return [asked for asked in questions() if asked.name.startswith("bundle: ")]


def signatures() -> list[Question]:
    """Every forged model signature over the folder that is at hand."""
    every = [asked for asked in questions() if asked.kind == "oms" and not asked.options]
    folder = every[0].fields["manifest"]
    return [asked for asked in every if asked.fields.get("manifest") == folder]


@pytest.fixture
def pins(tmp_path: Path) -> tuple[Path, Path]:
    """The trusted root and the publisher's key, as files."""
    root, key = tmp_path / "trusted_root.json", tmp_path / "key.pub"
    root.write_bytes(honest.TRUSTED_ROOT)
    key.write_bytes(honest.KEY)
    return root, key


def compare(program: str, asked: Sequence[Question], refused: Callable[[Question], str]) -> None:
    """Fail on a verdict that differs and is not known, and on one that differs no more."""
    known = [item for item in DIFFERENCES if item.program == program]
    shown: set[Difference] = set()
    strange = []
    for question in asked:
        reason = refused(question)
        if (question.family == OK) == (not reason):
            continue
        found = [item for item in known if re.search(item.pattern, question.name)]
        shown.update(found)
        if reason or not found:
            strange.append(f"{question.name}: {question.family}, {program}: {reason or 'accepts'}")
    assert strange == []
    assert [item.pattern for item in known if item not in shown] == []


def test_cosign_refuses_what_assay_refuses(pins: tuple[Path, Path], tmp_path: Path) -> None:
    program = shutil.which("cosign")
    if program is None:
        pytest.skip("no cosign on this machine: .ci/run fetches Debian's")
    asked, (root, key) = bundles(), pins

    def run(numbered: tuple[int, Question]) -> str:
        number, question = numbered
        path = tmp_path / f"{number}.json"
        path.write_bytes(question.data)
        done = subprocess.run(
            [
                *(program, "verify-blob-attestation", "--bundle", path, "--key", key),
                *("--trusted-root", root, "--type", "urn:assay:release:v1"),
                *("--digest", honest.GRAPH, "--digestAlg", "sha256"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        path.unlink()
        return done.stderr if done.returncode else ""

    with ThreadPoolExecutor(TOGETHER) as pool:
        reasons = list(pool.map(run, enumerate(asked)))
    told = dict(zip([question.name for question in asked], reasons, strict=True))
    compare(COSIGN, asked, lambda question: told[question.name])


def test_sigstore_js_refuses_what_assay_refuses(
    pins: tuple[Path, Path], sigstore_js: list[str]
) -> None:
    asked, (root, key) = bundles(), pins
    node, _, packages = sigstore_js
    lines = [
        json.dumps({"id": question.name, "data": base64.b64encode(question.data).decode()})
        for question in asked
    ]
    done = subprocess.run(
        [node, MANY, packages, root, key],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.split("\n") if line]
    told = {answer["id"]: answer["reason"] for answer in answers}
    compare(SIGSTORE_JS, asked, lambda question: told[question.name])


@pytest.mark.filterwarnings("default::DeprecationWarning")  # sigstore's own
def test_model_signing_refuses_what_assay_refuses(pins: tuple[Path, Path], tmp_path: Path) -> None:
    folder, path = tmp_path / "add", tmp_path / "model.sig"
    folder.mkdir()
    for name, data in honest.FILES.items():
        (folder / name).write_bytes(data)

    make: Callable[[], Any] = verifying.Config  # it has no types

    def refused(question: Question) -> str:
        path.write_bytes(question.data)
        verifier = make().use_elliptic_key_verifier(public_key=pins[1])
        try:
            verifier.verify(folder, path)
        except Exception as error:  # noqa: BLE001 (whatever a stranger's program raises)
            return f"{type(error).__name__}: {error}"
        return ""

    compare(MODEL_SIGNING, signatures(), refused)


@pytest.mark.parametrize("program", [COSIGN, SIGSTORE_JS, MODEL_SIGNING])
def test_every_known_difference_stands_in_the_documents(program: str) -> None:
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    reasons = [item.reason for item in DIFFERENCES if item.program == program]
    assert [reason for reason in reasons if f"| {program} | {reason} |" not in page] == []
