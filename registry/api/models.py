"""`/api/v1/models`: models and their revisions."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from ledger import services as ledger
from registry import selectors
from registry.api import lists, shapes
from registry.api.base import PublicView, account, caller, find_model, read
from registry.api.owners import check_name
from registry.api.paging import page_rows
from registry.api.serializers import ModelIn, RevisionIn
from registry.services import models, repos, revisions


class Models(PublicView):
    """List models, or make one."""

    def get(self, request: Request) -> Response:
        return lists.answer(request, caller(request))

    def post(self, request: Request) -> Response:
        model = models.create(account(request), **read(ModelIn, request))
        return Response(shapes.model(model), status=201)


class Model(PublicView):
    """One model."""

    def get(self, request: Request, owner: str, name: str) -> Response:
        model = find_model(request, owner, name)
        newest = selectors.newest_release(model)
        return Response({**shapes.model(model), "latest": newest.version if newest else None})

    def delete(self, request: Request, owner: str, name: str) -> Response:
        model = find_model(request, owner, name)
        check_name(request, model.full_name)
        repos.delete(account(request), model)
        return Response(status=204)


class Revisions(PublicView):
    """The revisions of a model, or a new one."""

    def get(self, request: Request, owner: str, name: str) -> Response:
        """List them, newest first; those that did not pass are shown to who may write."""
        model = find_model(request, owner, name)
        rows = selectors.revisions(model, caller(request))
        return page_rows(request, rows, ("-created_at", "-id"), shapes.revision_line)

    def post(self, request: Request, owner: str, name: str) -> Response:
        model = find_model(request, owner, name)
        given = read(RevisionIn, request)
        revision = revisions.commit(
            account(request),
            model,
            files=[(item["path"], item["sha256"]) for item in given["files"]],
            parent=given["parent"],
            message=given["message"],
        )
        found = selectors.find_revision(model, revision.pk, caller(request))
        return Response(shapes.revision(found), status=201)


class Revision(PublicView):
    """One revision with files, card and report."""

    def get(self, request: Request, owner: str, name: str, revision: str) -> Response:
        model = find_model(request, owner, name)
        return Response(shapes.revision(selectors.find_revision(model, revision, caller(request))))


class Signing(PublicView):
    """Everything that a publisher must see, and sign, to release a revision."""

    tagged = False  # it has the newest checkpoint in it

    def get(self, request: Request, owner: str, name: str, revision: str) -> Response:
        model = find_model(request, owner, name)
        found = selectors.find_revision(model, revision, caller(request))
        return Response(shapes.signing(found, ledger.observed()))
