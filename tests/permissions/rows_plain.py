"""What is the same for everybody: pinned keys, runtimes, public content, health, documents."""

from __future__ import annotations

from tests.permissions.table import page, row

PINNED = "/.well-known/assay"

ROWS = [
    row("GET", f"{PINNED}/trusted_root.json", "200"),
    row("GET", f"{PINNED}/signing_config.json", "200"),
    row("GET", f"{PINNED}/witness-policy.txt", "200"),
    row("GET", f"{PINNED}/log.vkey", "200"),
    row("GET", f"{PINNED}/keys.json", "200"),
    row("GET", f"{PINNED}/runtimes", "200"),
    row("GET", "/runtimes/{open_blob}/ort.wasm", "404"),
    row("GET", "/sha256/{open_blob}", "200"),
    # Its digest is no secret that gives it away, not even to its owner.
    row("GET", "/sha256/{secret_blob}", "404"),
    row("GET", "/sha256/{gated_blob}", "404"),
    page("GET", "/api/v1/openapi.json", "200"),
    page("GET", "/api/v1/openapi.yaml", "200"),
    page("GET", "/api/v1/docs/", "200"),
    row("GET", "/healthz", "200"),
    row("GET", "/readyz", "200"),
    row("GET", "/metrics", "200"),
]
