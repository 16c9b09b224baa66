from __future__ import annotations

from django.urls import path

from ledger.api import views

urlpatterns = [
    path("head", views.HeadView.as_view()),
    path("entries", views.EntriesView.as_view()),
    path("entries/<int:index>", views.EntryView.as_view()),
]
