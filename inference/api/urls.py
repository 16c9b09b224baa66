from __future__ import annotations

from django.urls import path

from inference.api.views import Cancel, CancelBatch, Executions, OneBatch, OneExecution

urlpatterns = [
    path("executions", Executions.as_view()),
    path("executions/<uuid:execution>", OneExecution.as_view()),
    path("executions/<uuid:execution>/cancel", Cancel.as_view()),
    path("batches/<uuid:batch>", OneBatch.as_view()),
    path("batches/<uuid:batch>/cancel", CancelBatch.as_view()),
]
