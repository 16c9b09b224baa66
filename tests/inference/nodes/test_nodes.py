"""ONNX's node cases through `/v2` on the portable runtime: all that can run are right."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from pytest_django import Settings

from assay.digests import sha256_hex
from assay.manifest import Manifest
from inference.executor.inspect.steps import walk
from registry.choices import RevisionState
from registry.models import Blob, Release, Revision, RevisionFile
from tests.inference.builders import GRAPH, publish
from tests.inference.conftest import Site
from tests.inference.executor.models import add
from tests.inference.nodes.cases import DIFFERS, Case, ask, load_cases
from tests.people import Person, make_person

pytestmark = pytest.mark.django_db(transaction=True)
NOT_RUN = Path(__file__).parent / "not_run.txt"
MODEL = "nodes"
# What may keep a case from running here. Anything else, such as a slow or a missing executor, is a
# fault and no reason.
REASONS = re.compile(
    "The (input|output) '.*' is .*, and the protocol has no name for that type\\.$"
    "|The input '.*' is BF16, which the portable runtime does not have: name the executor"
    "|refused at upload: (opset|domain)$"
    "|The runtime refuses the model: (?!.*EMFILE)"
    "|The model failed on this input: "
    f"|output [0-9]+ {DIFFERS}: [a-z]"
)


def publish_all(person: Person, cases: Sequence[Case]) -> dict[str, dict[str, object]]:
    """Write a release of one model for each case; return the facts of each.

    The first release is made in earnest; the others are its rows with other files: to sign and log
    thousands is what other tests are for.
    """
    first = publish(person, MODEL, add())
    listed = {}
    revisions, files, releases, contents = [], [], [], {}
    for number, case in enumerate(cases, 2):
        report = walk(case.graph, GRAPH, {GRAPH: len(case.graph)})
        report.pop("native")
        listed[case.name] = report
        if report["facts"] is None:
            continue
        digest = sha256_hex(case.graph)
        contents[digest] = case.graph
        revision = Revision(
            pk=sha256_hex(case.name.encode())[:40],
            model=first.model,
            author=person.user,
            manifest=Manifest.from_pairs([(GRAPH, digest)]).digest,
            state=RevisionState.PASSED,
            graph_path=GRAPH,
            report={"verdict": "passed", "trial": None, **report},
            created_at=first.revision.created_at,
        )
        revisions.append(revision)
        files.append(RevisionFile(revision=revision, path=GRAPH, blob_id=digest))
        releases.append(
            Release(
                model=first.model,
                revision=revision,
                number=number,
                version=case.name,
                key=first.key,
                author=person.user,
            )
        )
    for digest, data in contents.items():
        place = Path(django_settings.BLOBS_DIR) / digest[:2] / digest[2:4] / digest
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    Blob.objects.bulk_create(Blob(sha256=one, size=len(data)) for one, data in contents.items())
    Revision.objects.bulk_create(revisions)
    RevisionFile.objects.bulk_create(files)
    Release.objects.bulk_create(releases)
    return listed


def outcomes(cases: Sequence[Case], listed: dict[str, dict[str, Any]]) -> dict[str, str | None]:
    """Ask for every case, two at a time: the executor has two processes."""

    def one(numbered: tuple[int, Case]) -> str | None:
        number, case = numbered
        report = listed[case.name]
        if report["facts"] is None:
            return f"refused at upload: {report['findings'][0]['code']}"
        address = f"/v2/models/alice/{MODEL}/versions/{case.name}/infer"
        return ask(case, report["facts"], address, as_json=number % 2 == 1)

    def all_of(part: Sequence[tuple[int, Case]]) -> list[str | None]:
        try:
            return [one(numbered) for numbered in part]
        finally:
            connection.close()

    numbered = list(enumerate(cases))
    halves = [numbered[0::2], numbered[1::2]]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(all_of, halves))
    return {
        case.name: answer
        for half, found in zip(halves, answers, strict=True)
        for (_, case), answer in zip(half, found, strict=True)
    }


def read_list() -> dict[str, str]:
    """Return the reason of each case in the committed list."""
    lines = NOT_RUN.read_text(encoding="utf-8").splitlines()
    parts = (line.partition(": ") for line in lines if not line.startswith("#"))
    return {name: reason for name, _, reason in parts}


def write_list(found: dict[str, str], place: Path) -> None:
    """Write the list as it is to be committed; what was explained before stays explained."""
    before = read_list()
    kept = {
        name: before[name] if before.get(name, "").startswith(reason) else reason
        for name, reason in sorted(found.items())
    }
    head = [line for line in NOT_RUN.read_text().splitlines() if line.startswith("#")]
    lines = [*head, *(f"{name}: {reason}" for name, reason in kept.items())]
    place.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def test_every_node_case_that_can_run_gives_what_onnx_expects(
    committed: Site, settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings.INFER_QUEUE_S = 30  # while a process is started anew, nothing is refused
    caplog.set_level(logging.CRITICAL, "django.request")  # hundreds of refusals are no news
    cases = load_cases()
    reports = publish_all(make_person("alice"), cases)
    found = {name: why for name, why in outcomes(cases, reports).items() if why is not None}
    listed = read_list()
    wrong = [
        name
        for name in sorted(found.keys() | listed.keys())
        if not is_explained(found.get(name), listed.get(name))
    ]
    if wrong:
        place = tmp_path / NOT_RUN.name
        write_list(found, place)
        told = [f"{name}: {found.get(name)}, not {listed.get(name)}" for name in wrong[:20]]
        pytest.fail(f"{len(wrong)} cases, in {place} as they are:\n" + "\n".join(told))
    assert len(cases) - len(found) >= 1_354


def is_explained(found: str | None, listed: str | None) -> bool:
    """Whether the list has the reason that was found; of other values it says why besides."""
    if found is None or listed is None:
        return False
    return listed.startswith(f"{found}: ") if found.endswith(DIFFERS) else listed == found


def test_each_reason_in_the_list_is_one_of_those_that_count() -> None:
    listed = read_list()
    assert list(listed) == sorted(listed)
    unknown = {name: why for name, why in listed.items() if not REASONS.match(why)}
    assert unknown == {}
