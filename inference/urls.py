from __future__ import annotations

from django.urls import path

from inference import (
    views,
    views_evidence,
    views_graph,
    views_replays,
    views_run,
    views_schedules,
    views_traces,
    views_webhooks,
)
from inference.oip.infer import infer_in_session

EXECUTION = "executions/<uuid:execution>"
MODEL = "models/<str:owner>/<str:name>"

urlpatterns = [
    path("executions/", views.execution_list),
    path(f"{EXECUTION}/", views.execution_page),
    path(f"{EXECUTION}/replay/", views_replays.ask),
    path(f"{EXECUTION}/receipt", views.receipt),
    path(f"{EXECUTION}/statement", views.statement),
    path(f"{EXECUTION}/output.tensors", views.output_tensors),
    path(f"{EXECUTION}/input.tensors", views.input_tensors),
    path(f"{EXECUTION}/trace", views_traces.ask_for_trace),
    path(f"{MODEL}/graph/skeleton.json", views_graph.graph_skeleton),
    path(f"{MODEL}/run/", views_run.run),
    path(f"{MODEL}/run/<str:version>/infer", infer_in_session),
    path(f"{MODEL}/executions/", views.model_executions),
    path(f"{MODEL}/evidence/", views_evidence.model_evidence),
    path("schedules/", views_schedules.schedule_list),
    path("schedules/<uuid:schedule>/", views_schedules.schedule_page),
    path("schedules/<uuid:schedule>/<str:action>/", views_schedules.change),
    path("settings/webhooks/", views_webhooks.webhooks),
    path("settings/webhooks/<uuid:webhook>/", views_webhooks.webhook),
    path("settings/webhooks/<uuid:webhook>/test/", views_webhooks.test),
    path("settings/webhooks/<uuid:webhook>/delete/", views_webhooks.delete),
    path("settings/webhooks/<uuid:webhook>/<uuid:delivery>/", views_webhooks.redeliver),
]
