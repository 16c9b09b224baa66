from __future__ import annotations

from django.urls import path

from ledger.views import pages

app_name = "ledger"
urlpatterns = [
    path("", pages.index, name="index"),
    path("search", pages.search, name="search"),
    path("<int:index>/", pages.entry, name="entry"),
    path("pending/<int:entry_id>/", pages.pending, name="pending"),
    path("checkpoints/<int:size>/", pages.checkpoint, name="checkpoint"),
]
