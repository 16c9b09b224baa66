"""`GET /metrics`: who may read it, and that Prometheus' own parser understands every line."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from inference.models import Execution
from inference.services import queue
from inference.services.run import infer
from inference.services.submit import submit
from tests.inference.builders import fp32, plan, publish
from tests.inference.conftest import Site
from tests.inference.executor.models import add
from tests.people import Person

TOKEN = "a token of the tests"
ROOT = Path(__file__).parents[2]
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(client: Client, **headers: Any) -> Samples:
    answer = client.get("/metrics", **headers)
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=0.0.4")
    assert answer["Cache-Control"] == "no-store"
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def of(samples: Samples, name: str, **labels: str) -> float:
    return samples[f"assay_{name}", tuple(sorted(labels.items()))]


def waiting() -> Execution:
    """A queued execution of alice's model."""
    return submit(plan("alice/add", [fp32("x", 3.0)], limit_s=900)).execution


@pytest.fixture
def away(settings: Settings, tmp_path: Path) -> None:
    settings.EXECUTOR_SOCKET = tmp_path / "nobody.sock"


@pytest.mark.parametrize(
    "headers",
    [
        {"REMOTE_ADDR": "192.0.2.7"},
        {"REMOTE_ADDR": ""},
        {"HTTP_X_FORWARDED_FOR": "127.0.0.1"},
        {"HTTP_FORWARDED": "for=127.0.0.1"},
        {"HTTP_VIA": "1.1 proxy"},
        {"REMOTE_ADDR": "192.0.2.7", "HTTP_X_FORWARDED_FOR": "127.0.0.1"},
        {"HTTP_AUTHORIZATION": "Bearer "},
        {"HTTP_AUTHORIZATION": "Bearer another token"},
        {"REMOTE_ADDR": "192.0.2.7", "HTTP_AUTHORIZATION": f"Basic {TOKEN}"},
    ],
)
def test_mallory_reads_no_metrics(
    db: None, client: Client, settings: Settings, headers: dict[str, Any]
) -> None:
    settings.METRICS_TOKEN = TOKEN
    assert client.get("/metrics", **headers).status_code == 404


def test_without_a_token_no_token_opens(db: None, client: Client, settings: Settings) -> None:
    settings.METRICS_TOKEN = ""
    headers: dict[str, Any] = {"REMOTE_ADDR": "192.0.2.7", "HTTP_AUTHORIZATION": "Bearer "}
    assert client.get("/metrics", **headers).status_code == 404
    assert client.post("/metrics").status_code == 405


@pytest.mark.parametrize(
    "headers",
    [
        {"REMOTE_ADDR": "::1"},
        {"REMOTE_ADDR": "127.0.0.1"},
        {"REMOTE_ADDR": "192.0.2.7", "HTTP_AUTHORIZATION": f"Bearer {TOKEN}"},
        {"HTTP_X_FORWARDED_FOR": "192.0.2.7", "HTTP_AUTHORIZATION": f"bearer {TOKEN}"},
    ],
)
def test_an_executor_that_is_away_is_a_number_too(
    db: None, client: Client, settings: Settings, away: None, headers: dict[str, Any]
) -> None:
    settings.METRICS_TOKEN = TOKEN
    samples = scrape(client, **headers)
    assert of(samples, "executor_up") == 0
    assert of(samples, "queue_claimable", kind="portable") == 0
    assert not any(name.startswith("assay_executor_slots") for name, _ in samples)


def test_what_ran_and_what_waits_is_counted(site: Site, alice: Person, client: Client) -> None:
    publish(alice, "add", add())
    before = scrape(client)
    for number in (1.0, 2.0):
        infer(plan("alice/add", [fp32("x", number)]))
    ready, later = (waiting() for _ in range(2))
    past = timezone.now() - timedelta(seconds=40)
    Execution.objects.filter(pk=ready.pk).update(available_at=past)
    Execution.objects.filter(pk=later.pk).update(available_at=past + timedelta(hours=1))
    after = scrape(client)
    assert of(after, "executor_up") == 1
    assert of(after, "executor_runs_total") - of(before, "executor_runs_total") == 2
    served = [
        of(one, "executor_hits_total") + of(one, "executor_misses_total") for one in (before, after)
    ]
    assert served[1] - served[0] >= 2
    for stage in ("wait", "run", "hash", "sign"):
        counts = [of(one, "executor_stage_seconds_count", stage=stage) for one in (before, after)]
        assert counts[1] - counts[0] >= 2
        assert of(after, "executor_stage_seconds_bucket", stage=stage, le="+Inf") == counts[1]
        assert of(after, "executor_stage_seconds_sum", stage=stage) > 0
    assert of(after, "executor_slots", kind="portable") == 2
    assert of(after, "executor_slots", kind="native") == 1
    assert of(after, "executor_jail", layer="limits") == 1
    assert of(after, "recent_executions", state="succeeded") == 2
    assert of(after, "recent_attempts", attempts="1") == 2
    assert (of(after, "queue_claimable", kind="portable"), of(after, "recent_lost")) == (1, 0)
    assert of(after, "queue_delayed", kind="portable") == 1
    assert 40 <= of(after, "queue_oldest_seconds", kind="portable") < 400


def test_a_worker_that_died_shows(site: Site, alice: Person, client: Client) -> None:
    publish(alice, "add", add())
    rows = Execution.objects.filter(pk=waiting().pk)
    for _ in range(3):
        past = timezone.now() - timedelta(seconds=1)
        rows.update(available_at=past)
        assert len(queue.claim(1)) == 1
        rows.update(lease_until=past)
        samples = scrape(client)
        assert (of(samples, "running", kind="portable"), of(samples, "leases_expired")) == (1, 1)
        queue.sweep()
    samples = scrape(client)
    assert (of(samples, "recent_lost"), of(samples, "recent_attempts", attempts="3")) == (1, 1)


def test_every_name_is_documented(site: Site, client: Client) -> None:
    page = (ROOT / "docs/reference/metrics.md").read_text()
    documented: set[str] = set()
    for line in page.splitlines():
        names = re.findall(r"`(\w+)`", line.split("|")[1]) if line.startswith("| `") else []
        stem = names[0].removesuffix("_total").rpartition("_")[0] if names else ""
        documented |= {stem + name if name.startswith("_") else name for name in names}
    answer = client.get("/metrics")
    shown = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(answer.content.decode())
    }
    # A counter without a label yet, such as failures by code, has no line.
    assert shown | {"assay_executor_failures_total"} == documented
