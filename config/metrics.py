"""`GET /metrics`: the queue and this machine's executor, in Prometheus' text format.

Whoever asks from this machine, without a proxy between, may read them, and whoever sends
`METRICS_TOKEN` as a bearer token; for everybody else there is nothing here. Values are read at
each scrape: no process keeps a number of its own, so it does not matter which one answers.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from inference import metrics
from inference.client import Status

_FORWARDED = ("Forwarded", "Via", "X-Forwarded-For", "X-Real-Ip")
_EVENTS = {
    "runs": "Models run to their end.",
    "deaths": "Model processes that ended under a model.",
    "loads": "Models loaded into a process.",
    "hits": "Requests that found the model loaded.",
    "misses": "Requests that had to load the model.",
    "evictions": "Models unloaded to make room.",
    "recycled": "Models or processes started afresh because of age or memory.",
    "warmed": "Models that ran on zeros after their release.",
}


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Answer a scrape; 404 for whoever may not read it."""
    if not _may_read(request):
        raise Http404
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Executions())
    headers = {"Cache-Control": "no-store"}
    text = generate_latest(registry)
    return HttpResponse(text, content_type=CONTENT_TYPE_PLAIN_0_0_4, headers=headers)


def _may_read(request: HttpRequest) -> bool:
    token = settings.METRICS_TOKEN
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if token and scheme.lower() == "bearer":
        return hmac.compare_digest(given.strip().encode(), token.encode())
    if any(name in request.headers for name in _FORWARDED):
        return False  # it came through a proxy: the address is the proxy's
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


class Executions(Collector):
    """Asks the database and the executor when it is collected."""

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        yield from _queue(metrics.queue())
        yield from _recent(metrics.recent())
        status = metrics.executor_status()
        words = "1 when the executor of this machine answers."
        yield GaugeMetricFamily("assay_executor_up", words, value=int(status is not None))
        if status is not None:
            yield from _executor(status)
            yield from _counters(status)
            yield from _stages(status.counters)


def _queue(queue: metrics.Queue) -> Iterator[Metric]:
    yield _by("queue_claimable", "Queued executions that can be claimed.", "kind", queue.claimable)
    yield _by("queue_delayed", "Queued executions whose time is not now.", "kind", queue.delayed)
    words = "Since when the oldest of them could have been claimed, in seconds."
    yield _by("queue_oldest_seconds", words, "kind", queue.oldest_s)
    yield _by("running", "Executions with a lease.", "kind", queue.running)
    words = "Running executions whose lease is over: the sweeper takes them."
    yield GaugeMetricFamily("assay_leases_expired", words, value=queue.expired_leases)


def _recent(recent: metrics.Recent) -> Iterator[Metric]:
    words = "Executions created within the last hour, by where they stand."
    yield _by("recent_executions", words, "state", recent.states)
    words = "Of those that have ended: how often a worker claimed them."
    yield _by("recent_attempts", words, "attempts", recent.attempts)
    words = "Of those: given up because their workers died."
    yield GaugeMetricFamily("assay_recent_lost", words, value=recent.lost)


def _executor(status: Status) -> Iterator[Metric]:
    for name, words in {
        "slots": "Model processes that may run.",
        "free": "Model processes that are ready and idle.",
        "waiting": "Requests that wait for a model process.",
    }.items():
        values = {kind: of[name] for kind, of in status.kinds.items()}
        yield _by(f"executor_{name}", words, "kind", values)
    words = "Different models that some process has loaded."
    yield GaugeMetricFamily("assay_executor_models", words, value=len(status.models))
    words = "Models kept out because they end their processes."
    yield GaugeMetricFamily("assay_executor_quarantined", words, value=len(status.quarantined))
    words = "1 where a layer of the jail holds."
    yield _by("executor_jail", words, "layer", {name: int(on) for name, on in status.jail.items()})


def _counters(status: Status) -> Iterator[Metric]:
    words = "Model processes that ended, for whatever reason."
    yield CounterMetricFamily("assay_executor_restarts", words, value=status.restarts)
    for name, words in _EVENTS.items():
        yield CounterMetricFamily(f"assay_executor_{name}", words, value=status.counters[name])
    failures = CounterMetricFamily(
        "assay_executor_failures", "Requests refused, by the executor's code.", labels=["code"]
    )
    for code, number in sorted(status.counters["failures"].items()):
        failures.add_metric([code], number)
    yield failures


def _stages(counters: dict[str, Any]) -> Iterator[Metric]:
    words = "Time of a stage of an execution: wait, load, run, hash, sign."
    family = HistogramMetricFamily("assay_executor_stage_seconds", words, labels=["stage"])
    ends = [*(str(end / 1000) for end in counters["buckets_ms"]), "+Inf"]
    for stage, times in counters["stages"].items():
        buckets = list(zip(ends, accumulate(times["counts"]), strict=True))
        family.add_metric([stage], buckets, sum_value=times["total_ms"] / 1000)
    yield family


def _by(name: str, words: str, label: str, values: Mapping[Any, float]) -> Metric:
    family = GaugeMetricFamily(f"assay_{name}", words, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([str(key)], value)
    return family
