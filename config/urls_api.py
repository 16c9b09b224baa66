"""`/api/v1/`: each app brings its own part."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("ledger/", include("ledger.api.urls")),
    path("", include("registry.api.urls")),
    path("", include("inference.api.urls")),
]
