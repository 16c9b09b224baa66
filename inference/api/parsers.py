"""Strict JSON for tensors: what `/v2` refuses is refused here too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.parsers import BaseParser

from inference.errors import BodyTooLargeError
from inference.oip.parse import parse_json


class StrictJSONParser(BaseParser):
    """One JSON text of at most the size that an `infer` request may have."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the value; BodyTooLargeError or BadRequestError."""
        limit: int = settings.INFER_MAX_BYTES
        data = stream.read(limit + 1)
        if len(data) > limit:
            raise BodyTooLargeError(f"At most {limit} bytes are taken.")
        return parse_json(data)
