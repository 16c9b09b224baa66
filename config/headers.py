"""Headers of static files, by their place; the settings hand this function to WhiteNoise."""

from __future__ import annotations

# A worker obeys the policy of its own script. Only these may compile WebAssembly.
WORKERS = ("/static/js/workers/", "/static/vendor/onnxruntime-web-", "/static/vendor/hash-wasm-")
WORKER_POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"


def add_headers(headers: dict[str, str], path: str, url: str) -> None:
    """Let workers compile WebAssembly, and let versioned libraries be cached for ever."""
    if url.startswith(WORKERS):
        headers["Content-Security-Policy"] = WORKER_POLICY
    if url.startswith("/static/vendor/"):
        headers["Cache-Control"] = "public, max-age=31536000, immutable"
