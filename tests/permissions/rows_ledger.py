"""The ledger is everybody's: `/api/v1/ledger`, its pages, and `/log`. Nobody needs an account."""

from __future__ import annotations

from tests.permissions.table import page, row

API = "/api/v1/ledger"

ROWS = [
    row("GET", f"{API}/head", "200"),
    row("GET", f"{API}/entries", "200"),
    row("GET", f"{API}/entries/0", "200"),
    row("GET", f"{API}/claims/{{key}}/{{open_blob}}", "404"),
    row("GET", f"{API}/checkpoints", "200"),
    row("GET", f"{API}/logs", "200"),
    page("GET", "/ledger/", "200"),
    page("GET", "/ledger/search", "200"),
    page("GET", "/ledger/0/", "200"),
    page("GET", "/ledger/0/bundle", "200"),
    page("GET", "/ledger/0/tlog-proof", "200"),
    page("GET", "/ledger/pending/{entry}/", "302"),
    page("GET", "/ledger/checkpoints/", "200"),
    page("GET", "/ledger/checkpoints/1/", "404"),
    page("GET", "/ledger/logs/", "200"),
    row("GET", "/log/checkpoint", "200"),
    row("GET", "/log/tile/0/000", "404"),
    row("GET", "/log/api/v2/checkpoint", "200"),
    row("GET", "/log/api/v2/tile/0/000", "404"),
    row("POST", "/log/api/v2/log/entries", "400", {}),
    # By a key that nobody registered; by nobody: with a token it is staged as a person's.
    row("POST", "/log/envelopes?key={open_blob}", "403", {}),
    row("POST", "/log/envelopes", "401 400 400 400 400 400 403 400", {}),
    row("GET", "/log/envelopes/{open_blob}", "404"),
]
