from __future__ import annotations

from django.urls import path

from ledger.views import checkpoints, entries, listing

app_name = "ledger"
urlpatterns = [
    path("", listing.index, name="index"),
    path("search", listing.index, name="search"),
    path("<int:index>/", entries.entry, name="entry"),
    path("<int:index>/bundle", entries.bundle, name="bundle"),
    path("<int:index>/tlog-proof", entries.tlog_proof, name="tlog-proof"),
    path("pending/<int:entry_id>/", entries.pending, name="pending"),
    path("checkpoints/", checkpoints.index, name="checkpoints"),
    path("checkpoints/<int:size>/", checkpoints.checkpoint, name="checkpoint"),
    path("logs/", checkpoints.logs, name="logs"),
]
