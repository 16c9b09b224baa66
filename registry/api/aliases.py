"""`/api/v1/models/{owner}/{name}/aliases`: what they mean, what they meant, and moving them."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from assay.statements import timestamp
from ledger import services as ledger
from registry import moves, selectors
from registry.api.base import PublicView, account, caller, find_model, read, read_envelope
from registry.api.paging import answer, page_of, read_limit
from registry.instants import read_instant, read_number
from registry.models import Alias as AliasRow, AliasMove, Release
from registry.services import aliases


class MoveIn(serializers.Serializer[Any]):
    """`POST …/aliases/{alias}/moves`."""

    envelope = serializers.DictField()
    key = serializers.RegexField(r"\A[0-9a-f]{64}\Z")
    note = serializers.CharField(max_length=aliases.MAX_NOTE, allow_blank=True, default="")


class ProtectionIn(serializers.Serializer[Any]):
    """`PUT …/aliases/{alias}/protection`."""

    protected = serializers.BooleanField()


class Aliases(PublicView):
    """List the aliases of a model, `latest` first."""

    def get(self, request: Request, owner: str, name: str) -> Response:
        model = find_model(request, owner, name)
        newest = selectors.newest_release(model)
        first: list[Release | AliasMove] = [newest] if newest else []
        return page_of(request, [*first, *moves.newest_moves(model)], _name_of, _line)


class Alias(PublicView):
    """Say what an alias means now, or what it meant: `?at=` is a time in RFC 3339."""

    def get(self, request: Request, owner: str, name: str, alias: str) -> Response:
        model = find_model(request, owner, name)
        at = request.query_params.get("at")
        if at is not None:
            return Response(_meaning(moves.meaning(model, alias, read_instant(at, "at"))))
        if alias.lower() == selectors.LATEST:
            return Response(_latest(selectors.find_version(model, None)))
        return Response(_alias(moves.moves_of(moves.find_alias(model, alias))[0]))


class Moves(PublicView):
    """List the moves of an alias, newest first, or move it by a signed statement."""

    def get(self, request: Request, owner: str, name: str, alias: str) -> Response:
        model = find_model(request, owner, name)
        before = read_number(request.query_params.get("cursor", ""))
        limit = read_limit(request, moves.PAGE)
        rows = moves.moves_of(moves.find_alias(model, alias), before)
        page = list(rows[: limit + 1])
        following = str(page[limit - 1].number) if len(page) > limit else ""
        return answer([move(row) for row in page[:limit]], following)

    def post(self, request: Request, owner: str, name: str, alias: str) -> Response:
        model = find_model(request, owner, name)
        given = read(MoveIn, request)
        envelope = read_envelope(given["envelope"], aliases.CLAIM)
        made = aliases.move(
            account(request), model, alias, envelope, given["key"], note=given["note"]
        )
        return Response(move(moves.find_move(made.alias, made.number)), status=201)


class Move(PublicView):
    """One move of an alias."""

    def get(self, request: Request, owner: str, name: str, alias: str, number: int) -> Response:
        model = find_model(request, owner, name)
        return Response(move(moves.find_move(moves.find_alias(model, alias), number)))


class Signing(PublicView):
    """Everything that a publisher must see, and sign, to move an alias: `?version=`."""

    tagged = False  # it has the newest checkpoint in it

    def get(self, request: Request, owner: str, name: str, alias: str) -> Response:
        model = find_model(request, owner, name)
        version = request.query_params.get("version", "")
        return Response(aliases.proposal(caller(request), model, alias, version))


class Protection(PublicView):
    """Say whether only those who may change the model's settings move the alias."""

    def get(self, request: Request, owner: str, name: str, alias: str) -> Response:
        """Say whether it is protected."""
        found = moves.find_alias(find_model(request, owner, name), alias)
        return Response(_alias(moves.moves_of(found)[0]))

    def put(self, request: Request, owner: str, name: str, alias: str) -> Response:
        """Protect it, or do not."""
        model = find_model(request, owner, name)
        given = read(ProtectionIn, request)
        row = aliases.protect(account(request), model, alias, protected=given["protected"])
        return Response(_alias(moves.moves_of(row)[0]))


# ------------------------------------------------------------------ shapes


def move(row: AliasMove) -> dict[str, Any]:
    """Return a move; `index` is null until the log has sequenced the entry."""
    alias, model = row.alias, row.alias.model
    at = (model.owner.name, model.name, alias.name, row.number)
    return {
        "number": row.number,
        "version": row.release.version,
        "revision": row.release.revision_id,
        "manifest": row.release.revision.manifest,
        "previous": row.previous.revision_id if row.previous else None,
        "previous_version": row.previous.version if row.previous else None,
        "key": row.key_id,
        "author": row.author.get_username(),
        "note": row.note,
        "moved_at": timestamp(row.created_at),
        "entry": row.entry_id,
        "log": ledger.log_origin(row.entry),
        "index": row.entry.index,
        "entry_url": ledger.entry_url(row.entry),
        "bundle_url": reverse("alias-bundle", args=at),
    }


def _target(release: Release | None) -> dict[str, Any]:
    return {
        "version": release.version if release else None,
        "revision": release.revision_id if release else None,
        "manifest": release.revision.manifest if release else None,
        "yanked_at": timestamp(release.yanked_at) if release and release.yanked_at else None,
        "yank_reason": release.yank_reason if release else "",
    }


def _latest(release: Release) -> dict[str, Any]:
    """Return `latest`: it follows the releases, and nobody signs for it."""
    known = {"alias": selectors.LATEST, "implied": True, "protected": False}
    return {**known, **_target(release), "move": None}


def _name_of(row: Release | AliasMove) -> str:
    return row.alias.name if isinstance(row, AliasMove) else selectors.LATEST


def _line(row: Release | AliasMove) -> dict[str, Any]:
    return _alias(row) if isinstance(row, AliasMove) else _latest(row)


def _alias(newest: AliasMove) -> dict[str, Any]:
    alias: AliasRow = newest.alias
    known = {"alias": alias.name, "implied": False, "protected": alias.protected}
    return {**known, **_target(newest.release), "move": move(newest)}


def _meaning(found: moves.Meaning) -> dict[str, Any]:
    return {
        "alias": found.name,
        "at": timestamp(found.at),
        **_target(found.release),
        "move": move(found.move) if found.move else None,
    }
