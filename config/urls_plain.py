"""Addresses that programs speak: no session, no CSRF, no redirect (see `config.middleware`)."""

from __future__ import annotations

from django.urls import include, path

from config import health

urlpatterns = [
    path("v2", include("inference.oip.urls")),
    path("log/", include("ledger.urls_log")),
    path("healthz", health.live),
    path("readyz", health.ready),
]
