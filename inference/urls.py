from __future__ import annotations

from django.urls import path

from inference import views
from inference.oip import views as oip

EXECUTION = "executions/<uuid:execution>"
MODEL = "models/<str:owner>/<str:name>"

urlpatterns = [
    path("executions/", views.execution_list),
    path(f"{EXECUTION}/", views.execution_page),
    path(f"{EXECUTION}/receipt", views.receipt),
    path(f"{EXECUTION}/statement", views.statement),
    path(f"{EXECUTION}/output.tensors", views.output_tensors),
    path(f"{EXECUTION}/input.tensors", views.input_tensors),
    path(f"{MODEL}/run/", views.run),
    path(f"{MODEL}/run/<str:version>/infer", oip.infer_in_session),
    path(f"{MODEL}/executions/", views.model_executions),
]
