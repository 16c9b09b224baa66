from __future__ import annotations

from django.urls import path

from ledger.views import log, write

urlpatterns = [
    path("checkpoint", log.checkpoint),
    path("tile/<path:path>", log.tile),
    path("api/v2/checkpoint", log.checkpoint),
    path("api/v2/tile/<path:path>", log.tile),
    path("api/v2/log/entries", write.entries),
    path("envelopes", write.envelopes),
    path("envelopes/<str:digest>", log.envelope),
]
