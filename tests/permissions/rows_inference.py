"""Executions and what belongs to them: `/api/v1`, the pages, and `/v2`.

Whoever may have a model's files may run it. No executor answers here: who may run gets 503, who may
not gets what the rights say.
"""

from __future__ import annotations

import json
from urllib.parse import urlencode

from tests.permissions.scene import INPUTS
from tests.permissions.table import READ, both, made, page, row

API = "/api/v1"
ONE = f"{API}/executions"
OWN = "401 404 404 200 404 404 200 200"  # alice's alone, of no model that the token is kept from
OWN_WRITE = "401 404 404 200 404 404 403 200"
MINE = "404 404 404 200 404 404 200 404"  # alice's, of a model that the token is kept from
CLOSED = "403 403 403 200 403 403 200 403"  # the page is everybody's, its tensors hers
SESSION = "404 200 200 200 404 404"  # members of acme, by a session


TYPED = urlencode({"inputs": json.dumps(INPUTS)}).encode()

ROWS = [
    # ---------------------------------------------------------------- executions
    row("GET", ONE, "200"),
    row("POST", ONE, "202", {"model": "acme/open", "inputs": INPUTS}, note="of the public model"),
    row(
        *("POST", ONE, made(READ, 202)),
        {"model": "acme/secret", "inputs": INPUTS},
        note="of the private model",
    ),
    row(
        *("POST", ONE, "403 202 202 202 403 403 202 403"),
        {"model": "acme/gated", "inputs": INPUTS},
        note="of the gated model",
    ),
    row(
        *("POST", ONE, "401 202 202 202 202 202 202 403"),
        {"model": "acme/open", "inputs": INPUTS, "private": True},
        note="in private",
    ),
    row("GET", f"{ONE}/{{run}}", "200"),
    row("GET", f"{ONE}/{{private}}", "200"),
    row("GET", f"{ONE}/{{secret_run}}", READ),
    row("POST", f"{ONE}/{{queued}}/cancel", MINE),
    row("POST", f"{ONE}/{{secret_queued}}/cancel", MINE),
    row("GET", f"{ONE}/{{run}}/events", "200"),
    row("GET", f"{ONE}/{{secret_run}}/events", READ),
    row("POST", f"{ONE}/{{run}}/retry", made(MINE, 202), {}),
    # Its owner is told that these salts open nothing: the row is made up.
    row("POST", f"{ONE}/{{private}}/disclose", "404 404 404 400 404 404 403 404", {}),
    row("POST", f"{ONE}/{{run}}/replay", "202", {}),
    row("POST", f"{ONE}/{{secret_run}}/replay", made(READ, 202), {}),
    row("GET", f"{ONE}/{{run}}/replays", "200"),
    row("GET", f"{ONE}/{{secret_run}}/replays", READ),
    row("POST", f"{API}/replays", "400", {"envelope": {}, "key": "0" * 64}),
    row("GET", f"{API}/audit/rounds", "200"),
    # ---------------------------------------------------------------- traces; none is made yet
    row("POST", f"{ONE}/{{run}}/trace", "202", {}),
    row("POST", f"{ONE}/{{private}}/trace", made(CLOSED, 202), {}),
    row("POST", f"{ONE}/{{secret_run}}/trace", made(READ, 202), {}),
    row("GET", f"{ONE}/{{run}}/traces", "200"),
    row("GET", f"{ONE}/{{private}}/traces", CLOSED),
    row("GET", f"{ONE}/{{secret_run}}/traces", READ),
    row("GET", f"{ONE}/{{run}}/traces/{{run_trace}}", "200"),
    row("GET", f"{ONE}/{{private}}/traces/{{private_trace}}", MINE),
    row("GET", f"{ONE}/{{secret_run}}/traces/{{secret_run_trace}}", READ),
    row("GET", f"{ONE}/{{run}}/traces/{{run_trace}}/trace.json", "404"),
    row(
        *("GET", f"{ONE}/{{secret_run}}/traces/{{secret_run_trace}}/trace.json"),
        "404",
    ),
    row("GET", f"{ONE}/{{run}}/traces/{{run_trace}}/capsule", "404"),
    row(
        *("GET", f"{ONE}/{{secret_run}}/traces/{{secret_run_trace}}/capsule"),
        "404",
    ),
    row("GET", f"{API}/traces/compare?a={{run_trace}}&b={{run_trace}}", "404"),
    row(
        *("GET", f"{API}/traces/compare?a={{secret_run_trace}}&b={{secret_run_trace}}"),
        "404",
    ),
    # ---------------------------------------------------------------- batches
    row("GET", f"{API}/batches/{{batch}}", READ),
    row("POST", f"{API}/batches/{{batch}}/cancel", MINE),
    row("GET", f"{API}/batches/{{batch}}/events", READ),
    # ---------------------------------------------------------------- webhooks, schedules
    row("GET", f"{API}/webhooks", "401 200 200 200 200 200 200 200"),
    row(
        *("POST", f"{API}/webhooks", "401 201 201 201 201 201 403 201"),
        {"url": "https://hooks.example.org/new"},
    ),
    row(
        *("GET", f"{API}/webhooks?owner=acme", "401 403 403 200 403 403 403 403"),
    ),
    row(
        *("POST", f"{API}/webhooks", "401 403 403 201 403 403 403 403"),
        {"url": "https://hooks.example.org/new", "owner": "acme"},
        note="about acme",
    ),
    row(
        *("POST", f"{API}/webhooks", "401 403 403 201 404 404 403 404"),
        {"url": "https://hooks.example.org/new", "model": "acme/secret"},
        note="about acme's private model",
    ),
    row("GET", f"{API}/webhooks/{{acme_webhook}}", "401 404 404 200 404 404 404 404"),
    row("DELETE", f"{API}/webhooks/{{acme_webhook}}", "401 404 404 204 404 404 403 404"),
    row("GET", f"{API}/webhooks/{{webhook}}", OWN),
    row("DELETE", f"{API}/webhooks/{{webhook}}", made(OWN_WRITE, 204)),
    row("POST", f"{API}/webhooks/{{webhook}}/test", made(OWN_WRITE, 202), {}),
    row("GET", f"{API}/webhooks/{{webhook}}/deliveries", OWN),
    row(
        *("POST", f"{API}/webhooks/{{webhook}}/deliveries/{{delivery}}/redeliver"),
        *(made(OWN_WRITE, 202), {}),
    ),
    row("GET", f"{API}/schedules", "401 200 200 200 200 200 200 200"),
    row(
        *("POST", f"{API}/schedules", "401 201 201 201 201 201 403 201"),
        {"model": "acme/open", "inputs": INPUTS, "interval_s": 3600},
        note="of the public model",
    ),
    row(
        *("POST", f"{API}/schedules", "401 201 201 201 404 404 403 404"),
        {"model": "acme/secret", "inputs": INPUTS, "interval_s": 3600},
        note="of the private model",
    ),
    row("GET", f"{API}/schedules/{{schedule}}", OWN),
    row("DELETE", f"{API}/schedules/{{schedule}}", OWN_WRITE),
    row("POST", f"{API}/schedules/{{schedule}}/pause", OWN_WRITE, {}),
    row("POST", f"{API}/schedules/{{schedule}}/resume", OWN_WRITE, {}),
    row("GET", f"{API}/schedules/{{schedule}}/executions", OWN),
    # ---------------------------------------------------------------- pages
    page("GET", "/executions/", "200"),
    page("GET", "/executions/{run}/", "200"),
    page("GET", "/executions/{private}/", "200"),
    page("GET", "/executions/{secret_run}/", SESSION),
    page("POST", "/executions/{run}/replay/", "302"),
    page("POST", "/executions/{secret_run}/replay/", "404 302 302 302 404 404"),
    row("GET", "/executions/{run}/receipt", "200"),
    row("GET", "/executions/{secret_run}/receipt", READ),
    row("GET", "/executions/{run}/statement", "200"),
    row("GET", "/executions/{secret_run}/statement", READ),
    row("GET", "/executions/{run}/output.tensors", "200"),
    row("GET", "/executions/{private}/output.tensors", CLOSED),
    row("GET", "/executions/{secret_run}/output.tensors", READ),
    row("GET", "/executions/{run}/input.tensors", "200"),
    row("GET", "/executions/{private}/input.tensors", CLOSED),
    row("GET", "/executions/{secret_run}/input.tensors", READ),
    page("POST", "/executions/{run}/trace", "302"),
    page("POST", "/executions/{private}/trace", "403 403 403 302 403 403"),
    page("POST", "/executions/{secret_run}/trace", "404 302 302 302 404 404"),
    *both("GET", "/models/{m}/graph/skeleton.json", "503", made(SESSION, 503), make=page),
    *both("GET", "/models/{m}/run/", "200", SESSION, make=page),
    *both("POST", "/models/{m}/run/", "503", made(SESSION, 503), TYPED, make=page),
    *both(
        *("POST", "/models/{m}/run/1.0.0/infer", "503", made(SESSION, 503)),
        {"inputs": INPUTS},
        make=page,
        kind="application/json",
    ),
    *both("GET", "/models/{m}/executions/", "200", SESSION, make=page),
    *both("GET", "/models/{m}/evidence/", "200", SESSION, make=page),
    page("GET", "/schedules/", "401 200 200 200 200 200"),
    page("GET", "/schedules/{schedule}/", "401 404 404 200 404 404"),
    page("POST", "/schedules/{schedule}/pause/", "401 404 404 302 404 404"),
    # ---------------------------------------------------------------- /v2
    row("GET", "/v2", "200"),
    row("GET", "/v2/health/live", "200"),
    row("GET", "/v2/health/ready", "503"),
    row("GET", "/v2/models", "200"),
    row("POST", "/v2/repository/index", "200", {}),
    *both("GET", "/v2/models/{m}", "200", READ),
    *both("GET", "/v2/models/{m}/versions/1.0.0/ready", "503", made(READ, 503)),
    *both("POST", "/v2/models/{m}/infer", "503", made(READ, 503), {"inputs": INPUTS}),
    row(
        *("POST", "/v2/models/{gated}/infer", "403 503 503 503 403 403 503 403"),
        {"inputs": INPUTS},
    ),
    row("GET POST", "/v2/models/{secret}/config", "501"),
    row("GET POST", "/v2/models/{secret}/trace/setting", "501"),
    row("GET POST", "/v2/models/stats", "501"),
    row("GET POST", "/v2/repository/models/{secret}/load", "501"),
    row("GET POST", "/v2/systemsharedmemory", "501"),
    row("GET POST", "/v2/logging", "501"),
    row("GET POST PUT PATCH DELETE", "/v2/nothing", "404"),
]
