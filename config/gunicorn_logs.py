"""Gunicorn's own lines, in the form of all others."""

from __future__ import annotations

import logging.config
from typing import Any

from django.conf import settings
from gunicorn.glogging import Logger


class SiteLogger(Logger):
    """Gunicorn's logger, whose handlers are those of the settings."""

    def setup(self, cfg: Any) -> None:
        """Set the stock logger up, then put our handlers in the place of its own."""
        super().setup(cfg)
        logging.config.dictConfig(settings.LOGGING)
