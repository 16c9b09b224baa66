"""Static files as WhiteNoise serves them: beside each a gzip twin.

No Brotli: it would take half a minute for the WebAssembly module, at every first start.
"""

from __future__ import annotations

from typing import Any

from whitenoise.compress import Compressor
from whitenoise.storage import CompressedStaticFilesStorage


class StaticStorage(CompressedStaticFilesStorage):
    """WhiteNoise's storage, with gzip alone."""

    def create_compressor(self, **kwargs: Any) -> Compressor:
        """Return the compressor of `collectstatic`."""
        return super().create_compressor(use_brotli=False, **kwargs)
