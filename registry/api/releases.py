"""`/api/v1/models/{owner}/{name}/releases`."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from assay.bundle import MEDIA_TYPE
from registry import selectors
from registry.api import paging, shapes
from registry.api.base import PublicView, account, caller, find_model, read, read_envelope
from registry.api.serializers import ReleaseIn, YankIn
from registry.choices import ClaimKind
from registry.instants import read_number
from registry.services import cards, releases


class Releases(PublicView):
    """List releases, newest first, or publish one with its three claims."""

    def get(self, request: Request, owner: str, name: str) -> Response:
        model = find_model(request, owner, name)
        rows = selectors.releases(model)
        before = read_number(request.query_params.get("cursor", ""))
        if before is not None:
            rows = rows.filter(number__lt=before)
        limit = paging.read_limit(request, selectors.PAGE)
        page = list(rows[: limit + 1])
        more = len(page) > limit
        page = page[:limit]
        following = str(page[-1].number) if more else ""
        return paging.answer([shapes.release(row) for row in page], following)

    def post(self, request: Request, owner: str, name: str) -> Response:
        model = find_model(request, owner, name)
        given = read(ReleaseIn, request)
        sent = given.pop("claims")
        envelopes = {ClaimKind(kind): read_envelope(sent[kind], kind) for kind in sent}
        release = releases.publish(
            account(request), model, releases.Request(envelopes=envelopes, **given)
        )
        found = selectors.find_release(model, release.version)
        return Response(shapes.release(found), status=201)


class Release(PublicView):
    """One release, by its version, an alias, `latest` or its revision's id."""

    def get(self, request: Request, owner: str, name: str, version: str) -> Response:
        model = find_model(request, owner, name)
        found = selectors.find_version(model, version, user=caller(request), claims=True)
        return Response({**shapes.release(found), "notes_html": cards.render(found.notes)})


class Yank(PublicView):
    """Withdraw a release, with a reason."""

    def post(self, request: Request, owner: str, name: str, version: str) -> Response:
        model = find_model(request, owner, name)
        release = releases.yank(account(request), model, version, **read(YankIn, request))
        return Response(shapes.release(release))


class Signature(PublicView):
    """`model.sig`: the model signature that stock clients check against the folder."""

    def get(self, request: Request, owner: str, name: str, version: str) -> HttpResponse:
        model = find_model(request, owner, name)
        release = selectors.find_version(model, version, user=caller(request))
        bundle = selectors.oms_bundle(release)
        answer = HttpResponse(bundle, content_type=MEDIA_TYPE)
        answer["Content-Disposition"] = 'attachment; filename="model.sig"'
        return answer
