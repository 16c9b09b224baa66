"""Addresses that programs speak: no session, no CSRF, no redirect (see `config.middleware`)."""

from __future__ import annotations

from django.urls import include, path

from config import health, metrics, wellknown

_PINNED = ".well-known/assay/"

# JSON for these addresses; what Django would answer itself is HTML.
handler400 = "config.error_pages.bad_request"
handler403 = "config.error_pages.permission_denied"
handler404 = "config.error_pages.not_found"
handler500 = "config.error_pages.server_error"

urlpatterns = [
    path("v2", include("inference.oip.urls")),
    path("hf", include("registry.hf.urls")),
    path("log/", include("ledger.urls_log")),
    path(f"{_PINNED}trusted_root.json", wellknown.trusted_root),
    path(f"{_PINNED}signing_config.json", wellknown.signing_config),
    path(f"{_PINNED}witness-policy.txt", wellknown.witness_policy),
    path(f"{_PINNED}log.vkey", wellknown.log_vkey),
    path(f"{_PINNED}keys.json", wellknown.keys),
    path(f"{_PINNED}runtimes", wellknown.runtimes),
    path("runtimes/<str:digest>/<str:name>", wellknown.runtime_file),
    path("sha256/<str:sha256>", wellknown.blob),
    path("healthz", health.live),
    path("readyz", health.ready),
    path("metrics", metrics.page),
]
