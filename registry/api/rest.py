"""What every view of the REST API does: ETags, `If-None-Match`, `If-Match`, `Link`.

The ETag of an answer is the SHA-256 of its bytes, so that it changes exactly when they do, and for
each reader their own. `If-Match` on a PUT, PATCH or DELETE compares with what GET answers at the
same address just then. Those who edit so stand in line, by a lock that ends with their transaction:
of two who saw the same, one wins and the other gets 412.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.http import parse_etags
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from assay.digests import sha256_hex
from registry.errors import PreconditionFailedError
from registry.services.locks import hold_address

EDITS = ("PUT", "PATCH", "DELETE")
READS = ("GET", "HEAD")


class RestView(APIView):
    """A view of the REST API. `tagged` False: another answer each time, or a secret."""

    tagged = True

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer; with `If-Match` alone at this address, and all of it or nothing."""
        if request.method not in EDITS or "If-Match" not in request.headers:
            return super().dispatch(request, *args, **kwargs)
        with transaction.atomic():
            hold_address(request.path)
            response = super().dispatch(request, *args, **kwargs)
            if response.status_code >= 400:
                transaction.set_rollback(True)
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """See who calls, what they may, and whether `If-Match` holds."""
        super().initial(request, *args, **kwargs)
        if request.method in EDITS and "If-Match" in request.headers:
            self._check_match(request, *args, **kwargs)

    def _check_match(self, request: Request, *args: Any, **kwargs: Any) -> None:
        show = getattr(self, "get", None)
        if show is None or not self.tagged:
            raise PreconditionFailedError(
                "This address has no ETag: leave out If-Match.", field="If-Match"
            )
        now = etag(JSONRenderer().render(show(request, *args, **kwargs).data))
        given = parse_etags(request.headers["If-Match"])
        if given != ["*"] and now not in given:
            raise PreconditionFailedError(
                "It was changed since you looked: look again, and repeat your change on top.",
                etag=now,
            )

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        """Add `Link` to a page that has a next, and an ETag to what was read."""
        found = super().finalize_response(request, response, *args, **kwargs)
        read = request.method in READS and found.status_code == 200
        if not read or not hasattr(found, "data"):  # bytes have headers of their own
            return found
        following = found.data.get("next") if isinstance(found.data, dict) else None
        if following and "items" in found.data:
            found["Link"] = f'<{_with_cursor(request, following)}>; rel="next"'
        if not self.tagged or "ETag" in found:
            return found
        found.render()
        found["ETag"] = etag(found.content)
        # Who asks decides what is shown, so no cache in between may answer for another.
        found.headers.setdefault("Cache-Control", "private, no-cache")
        patch_vary_headers(found, ("Authorization", "Cookie"))
        if not _known(request, found["ETag"]):
            return found
        kept = {key: value for key, value in found.headers.items() if key != "Content-Type"}
        unchanged = Response(status=304, headers=kept)
        return super().finalize_response(request, unchanged, *args, **kwargs)


def etag(content: bytes) -> str:
    """Return the strong ETag of these bytes."""
    return f'"{sha256_hex(content)[:32]}"'


def _known(request: Request, tag: str) -> bool:
    """Tell whether `If-None-Match` names `tag`, which it may in its weak form too."""
    given = parse_etags(request.headers.get("If-None-Match", ""))
    return given == ["*"] or tag in (one.removeprefix("W/") for one in given)


def _with_cursor(request: Request, cursor: str) -> str:
    query = request.query_params.copy()
    query["cursor"] = cursor
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
