from __future__ import annotations

from django.urls import path

from ledger.api import views

urlpatterns = [
    path("head", views.HeadView.as_view()),
    path("entries", views.EntriesView.as_view()),
    path("entries/<int:index>", views.EntryView.as_view()),
    path("claims/<str:fingerprint>/<str:pae_sha256>", views.ClaimView.as_view()),
    path("checkpoints", views.CheckpointsView.as_view()),
    path("logs", views.LogsView.as_view()),
]
