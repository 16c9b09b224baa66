"""The page of an execution in each state that it can be in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from assay.digests import sha256_hex
from assay.tensors import Tensor, encode_tensors
from inference.choices import ExecutionState, ExecutorKind
from inference.models import Execution, Tensors
from registry.choices import ClaimKind
from tests.pages.conftest import Site
from tests.pages.html import faults, parse
from tests.pages.test_every_page import check

RUNTIME = {
    "kind": "portable",
    "name": "onnxruntime-web",
    "version": "1.30.0",
    "digest": {"sha256": "ab" * 32},
}


def tensors(value: bytes) -> Tensors:
    data = encode_tensors([Tensor(name="x", datatype="FP32", shape=(1, 2), data=value * 8)])
    row, _ = Tensors.objects.get_or_create(
        sha256=sha256_hex(data), defaults={"size": len(data), "inline": data}
    )
    return row


def execution(site: Site, state: ExecutionState, **fields: Any) -> Execution:
    now = timezone.now()
    release = site.release
    return Execution.objects.create(
        request_digest="00" * 32,
        state=state,
        available_at=now,
        deadline=now + timedelta(minutes=1),
        revision=release.revision,
        model_name=release.model.full_name,
        manifest=release.revision.manifest,
        graph_path="model.onnx",
        executor_kind=ExecutorKind.PORTABLE,
        input=tensors(b"\0"),
        **fields,
    )


def succeeded(site: Site) -> Execution:
    entry = site.release.claims.get(kind=ClaimKind.RELEASE).entry
    return execution(
        site,
        ExecutionState.SUCCEEDED,
        output=tensors(b"\1"),
        entry=entry,
        executor=site.release.key_id,
        runtime=RUNTIME,
        run_ms=1.5,
        finished_at=timezone.now(),
    )


def test_one_that_succeeded_shows_its_evidence(site: Site, reader: Client) -> None:
    row = succeeded(site)
    check(reader, f"/executions/{row.pk}/")
    page = parse(reader.get(f"/executions/{row.pk}/").content.decode())
    rows = [tag.attributes for tag in page.tags if "data-evidence" in tag.attributes]
    assert [(found["data-evidence"], found["data-state"]) for found in rows] == [
        ("contents", "server"),
        ("signature", "server"),
        ("ledger", "server"),
        ("consistency", "server"),
        ("replay", "none"),
    ]


def test_nothing_is_green_before_this_browser_has_checked(site: Site, reader: Client) -> None:
    row = succeeded(site)
    for path in (f"/executions/{row.pk}/", f"/models/{site.model}/releases/1.0.0/", "/ledger/3/"):
        assert 'data-state="checked"' not in reader.get(path).content.decode()


def test_one_that_failed_says_why(site: Site, reader: Client) -> None:
    row = execution(
        site,
        ExecutionState.FAILED,
        error_code="model_failed",
        error_message="division <by> zero",
        finished_at=timezone.now(),
    )
    check(reader, f"/executions/{row.pk}/")
    text = reader.get(f"/executions/{row.pk}/").content.decode()
    assert "division &lt;by&gt; zero" in text
    assert "Nothing was signed" in text


def test_one_that_waits_asks_again(site: Site, reader: Client) -> None:
    row = execution(site, ExecutionState.QUEUED)
    check(reader, f"/executions/{row.pk}/")
    assert 'hx-trigger="every 2s"' in reader.get(f"/executions/{row.pk}/").content.decode()


def test_lists_show_them_all(site: Site, reader: Client) -> None:
    rows = [succeeded(site), execution(site, ExecutionState.QUEUED)]
    for path in ("/executions/", f"/models/{site.model}/executions/", "/"):
        check(reader, path)
        text = reader.get(path).content.decode()
        assert all(str(row.pk) in text for row in rows), path


@pytest.mark.parametrize("typed", ["nonsense", "[{}]", '[{"name": "x"}]'])
def test_a_bad_request_on_the_run_tab_is_told_and_stays_typed(
    typed: str, site: Site, reader: Client
) -> None:
    response = reader.post(f"/models/{site.model}/run/", {"inputs": typed})
    assert response.status_code == 400
    page = parse(response.content.decode())
    assert faults(page) == []
    (area,) = page.all("textarea")
    assert area.text == typed
