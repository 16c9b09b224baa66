"""The site's settings for the drives: small LFS parts, and a list of requests."""

from __future__ import annotations

from config import settings as site
from config.settings import *  # noqa: F403 (a settings module that changes a few lines)

LFS_PART_BYTES = 2**20
MIDDLEWARE = ["tests.interop.hf.watch.WatchMiddleware", *site.MIDDLEWARE]
