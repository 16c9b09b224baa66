"""Webhooks and schedules, what stands until it is deleted: their shapes and operations."""

from __future__ import annotations

from config.openapi.runs import SHAPES as RUNS, WISHES
from config.openapi.terms import (
    ANY,
    COUNT,
    CURSOR,
    ID,
    PAGED,
    SHA256,
    TEXT,
    TIME,
    Chapter,
    Schema,
    asked,
    described,
    many,
    maybe,
    more,
    one_of,
    op,
    pages,
    part,
    shape,
)
from inference.api import hooks, schedules
from inference.choices import DeliveryState, ExecutorKind

_HOOK = shape(
    "A webhook; `address` is its own in this API.",
    id=ID,
    address=TEXT,
    url=TEXT,
    owner=maybe(TEXT),
    model=maybe(TEXT),
    events=many(TEXT),
    created_by=TEXT,
    created_at=TIME,
    disabled_at=maybe(TIME),
)
_WHEN: Schema = {
    "cron": described(maybe(TEXT), "Five fields, in UTC."),
    "interval_s": maybe(COUNT),
    "timezone": maybe(one_of(("UTC",))),
}

SHAPES: dict[str, Schema] = {
    "Webhook": _HOOK,
    "NewWebhook": more(_HOOK, "A new webhook.", secret=described(TEXT, "In this answer alone.")),
    "WebhookIn": shape(
        "With `owner` or `model` it tells of changes to that, else of your executions.",
        ("owner", "model", "events"),
        url=TEXT,
        owner=TEXT,
        model=TEXT,
        events=many(TEXT),
    ),
    "Delivery": shape(
        "A message; `id` is its `webhook-id`.",
        id=ID,
        event=TEXT,
        about=maybe(TEXT),
        state=one_of(DeliveryState),
        attempts=COUNT,
        created_at=TIME,
        next_attempt_at=maybe(TIME),
        last_attempt_at=maybe(TIME),
        last_status=maybe(COUNT),
        last_error=maybe(TEXT),
        body=ANY,
    ),
    "Schedule": shape(
        "A run that is made again and again.",
        id=ID,
        url=TEXT,
        page_url=TEXT,
        model=TEXT,
        version=maybe(TEXT),
        input_sha256=SHA256,
        outputs=ANY,
        executor_kind=one_of(ExecutorKind),
        webhook=maybe(ID),
        cron=maybe(TEXT),
        interval_s=maybe(COUNT),
        timezone=TEXT,
        state=one_of(("active", "paused", "stopped")),
        next_at=maybe(TIME),
        last_fired_at=maybe(TIME),
        paused_reason=maybe(TEXT),
        paused_at=maybe(TIME),
        stopped_at=maybe(TIME),
        created_at=TIME,
    ),
    "ScheduleIn": shape(
        "What an execution would have, and `cron` or `interval_s`.",
        (*_WHEN, *(name for name in WISHES if name != "model")),
        **WISHES,
        **_WHEN,
        inputs=many(part("TensorIn")),
    ),
    "Fire": more(
        RUNS["Execution"],
        "An execution, and the time that it was for.",
        fired_at=TIME,
    ),
}

WEBHOOKS = Chapter(
    name="Webhooks",
    words="Signed messages about executions, and about changes to owners and models.",
    views={
        hooks.Webhooks: {
            "get": op(
                *("listWebhooks", "Webhooks", pages(part("Webhook"))),
                "not_allowed unknown_owner unknown_model",
                asked=(asked("owner", "An owner's."), asked("model", "A model's."), *PAGED),
            ),
            "post": op(
                *("createWebhook", "Make a webhook", {201: part("NewWebhook")}),
                "webhook_address too_many_webhooks unknown_owner unknown_model moved",
                body=part("WebhookIn"),
            ),
        },
        hooks.OneWebhook: {
            "get": op("getWebhook", "One webhook", part("Webhook"), "not_allowed"),
            "delete": op("deleteWebhook", "Delete it", None),
        },
        hooks.Test: {
            "post": op("testWebhook", "Send a test", {202: part("Delivery")}, "webhook_busy"),
        },
        hooks.Deliveries: {
            "get": op(
                *("listDeliveries", "What was sent", pages(part("Delivery")), "not_allowed"),
                asked=(asked("state", "Only those in it.", one_of(DeliveryState)), CURSOR),
            ),
        },
        hooks.Redeliver: {
            "post": op("redeliver", "Send it again", {202: part("Delivery")}, "webhook_busy"),
        },
    },
)
SCHEDULES = Chapter(
    name="Schedules",
    words="Runs that are made again and again.",
    views={
        schedules.Schedules: {
            "get": op(
                *("listSchedules", "Your schedules", pages(part("Schedule"))),
                asked=(asked("stopped", "Those that are stopped.", one_of(("1",))), *PAGED),
            ),
            "post": op(
                *("createSchedule", "Make a schedule", {201: part("Schedule")}),
                "bad_request bad_tensor bad_schedule too_many_schedules not_offered not_runnable"
                " no_graph not_released gated hidden taken_down unknown_model unknown_revision"
                " unknown_webhook"
                " executor_away account_needed too_large moved not_inspected",
                body=part("ScheduleIn"),
            ),
        },
        schedules.OneSchedule: {
            "get": op("getSchedule", "One schedule", part("Schedule")),
            "delete": op("stopSchedule", "Stop it for good", part("Schedule")),
        },
        schedules.Pause: {"post": op("pauseSchedule", "Pause it", part("Schedule"))},
        schedules.Resume: {
            "post": op("resumeSchedule", "Resume it", part("Schedule"), "bad_schedule")
        },
        schedules.History: {
            "get": op(*("listFires", "What it has queued", pages(part("Fire"))), asked=(CURSOR,)),
        },
    },
)
CHAPTERS = (WEBHOOKS, SCHEDULES)
