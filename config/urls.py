"""The pages, the REST API and the admin. What programs speak is in `urls_plain`."""

from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path

from config import operators, pages, styleguide
from config.openapi import pages as openapi

# Staff sign in as everybody does: with their second factor, and with a limit on guesses.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]  # allauth's documented way

urlpatterns = [
    path("", pages.home, name="home"),
    path("status/", pages.status, name="status"),
    path("styleguide/", styleguide.page, name="styleguide"),
    path("admin/state/", operators.state, name="state"),
    path("admin/state/queue/", operators.queue, name="state-queue"),
    path("admin/state/ledger/", operators.log, name="state-ledger"),
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
    path("api/v1/openapi.json", openapi.as_json),
    path("api/v1/openapi.yaml", openapi.as_yaml),
    path("api/v1/docs/", openapi.browser),
    path("api/v1/", include("config.urls_api")),
    path("ledger/", include("ledger.urls")),
    path("", include("inference.urls")),
    path("", include("registry.urls")),
]

handler400 = "config.error_pages.bad_request"
handler403 = "config.error_pages.permission_denied"
handler404 = "config.error_pages.not_found"
handler500 = "config.error_pages.server_error"
