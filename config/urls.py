"""The pages, the REST API and the admin. What programs speak is in `urls_plain`."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
    path("api/v1/", include("config.urls_api")),
    path("ledger/", include("ledger.urls")),
    path("", include("inference.urls")),
    path("", include("registry.urls")),
]
