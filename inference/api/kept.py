"""What a caller may still do with an execution that has ended: run it again, or disclose it."""

from __future__ import annotations

import uuid
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from inference import quota
from inference.api import shapes
from inference.api.reading import read_object
from inference.api.views import ExecutionView, accepted
from inference.errors import BadRequestError
from inference.prefer import parse_prefer
from inference.services.privacy import Opening, disclose
from inference.services.submit import retry
from registry.api.auth import ReadOrWriteScope


class Retry(ExecutionView):
    """Run one's own ended execution again, as a new one."""

    def post(self, request: Request, execution: uuid.UUID) -> Response:
        """Queue it; answer as `POST /api/v1/executions`."""
        if request.data:
            read_object(request.data, ())
        quota.take(request, request.user)
        prefer = parse_prefer(request.headers.get("Prefer", ""))
        key = request.headers.get("Idempotency-Key")
        return accepted(request, retry(request.user, execution, key=key), prefer)


class Disclose(ExecutionView):
    """Open the commitments of one's own private execution to everybody, for ever."""

    permission_classes = (ReadOrWriteScope,)  # what cannot be taken back needs more than reading

    def post(self, request: Request, execution: uuid.UUID) -> Response:
        """Disclose it; `{"salts", "digests"}` is needed when its tensors were dropped."""
        row = disclose(request.user, execution, _opening(request))
        return Response(shapes.whole(row, request.user))


def _opening(request: Request) -> Opening | None:
    if not request.data:
        return None
    value = read_object(request.data, ("salts", "digests"))
    return Opening(salts=_pair(value, "salts"), digests=_pair(value, "digests"))


def _pair(value: dict[str, Any], field: str) -> dict[str, str]:
    pair = value.get(field)
    if not isinstance(pair, dict) or set(pair) != {"input", "output"}:
        words = f"The field '{field}' is an object with 'input' and 'output'."
        raise BadRequestError(words, field=field)
    if not all(isinstance(text, str) for text in pair.values()):
        raise BadRequestError(f"The values in '{field}' are hex digits.", field=field)
    return pair
