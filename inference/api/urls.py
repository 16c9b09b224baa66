from __future__ import annotations

from django.urls import path

from inference.api import events, hooks, kept, replays, schedules, traces
from inference.api.views import Cancel, CancelBatch, Executions, OneBatch, OneExecution

urlpatterns = [
    path("executions", Executions.as_view()),
    path("executions/<uuid:execution>", OneExecution.as_view()),
    path("executions/<uuid:execution>/cancel", Cancel.as_view()),
    path("executions/<uuid:execution>/events", events.ExecutionEvents.as_view()),
    path("executions/<uuid:execution>/retry", kept.Retry.as_view()),
    path("executions/<uuid:execution>/disclose", kept.Disclose.as_view()),
    path("executions/<uuid:execution>/trace", traces.AskForTrace.as_view()),
    path("executions/<uuid:execution>/traces", traces.Traces.as_view()),
    path("executions/<uuid:execution>/traces/<uuid:trace>", traces.OneTrace.as_view()),
    path("executions/<uuid:execution>/traces/<uuid:trace>/trace.json", traces.TraceFile.as_view()),
    path("executions/<uuid:execution>/traces/<uuid:trace>/capsule", traces.TraceCapsule.as_view()),
    path("traces/compare", traces.Compare.as_view()),
    path("executions/<uuid:execution>/replay", replays.AskReplay.as_view()),
    path("executions/<uuid:execution>/replays", replays.Replays.as_view()),
    path("replays", replays.HandInReplay.as_view()),
    path("audit/rounds", replays.Rounds.as_view()),
    path("batches/<uuid:batch>", OneBatch.as_view()),
    path("batches/<uuid:batch>/cancel", CancelBatch.as_view()),
    path("batches/<uuid:batch>/events", events.BatchEvents.as_view()),
    path("webhooks", hooks.Webhooks.as_view()),
    path("webhooks/<uuid:webhook>", hooks.OneWebhook.as_view()),
    path("webhooks/<uuid:webhook>/test", hooks.Test.as_view()),
    path("webhooks/<uuid:webhook>/deliveries", hooks.Deliveries.as_view()),
    path(
        "webhooks/<uuid:webhook>/deliveries/<uuid:delivery_id>/redeliver",
        hooks.Redeliver.as_view(),
    ),
    path("schedules", schedules.Schedules.as_view()),
    path("schedules/<uuid:schedule>", schedules.OneSchedule.as_view()),
    path("schedules/<uuid:schedule>/pause", schedules.Pause.as_view()),
    path("schedules/<uuid:schedule>/resume", schedules.Resume.as_view()),
    path("schedules/<uuid:schedule>/executions", schedules.History.as_view()),
]
