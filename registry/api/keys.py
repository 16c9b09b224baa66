"""`/api/v1/keys`: register, list, revoke, back up."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from registry import selectors
from registry.api import shapes
from registry.api.base import AccountView, PublicView, account, read, read_base64, read_envelope
from registry.api.serializers import BackupIn, KeyIn, RevocationIn
from registry.services import keys


class Keys(PublicView):
    """List keys (`?owner=`), or register one: the envelope is self-signed."""

    def get(self, request: Request) -> Response:
        rows = selectors.keys_of(request.query_params.get("owner", ""))
        return Response({"items": [shapes.key(row) for row in rows]})

    def post(self, request: Request) -> Response:
        given = read(KeyIn, request)
        envelope = read_envelope(given["envelope"], keys.CLAIM)
        key = keys.register(account(request), envelope, name=given["name"])
        return Response(shapes.key(key), status=201)


class Key(PublicView):
    """One key."""

    def get(self, request: Request, fingerprint: str) -> Response:
        return Response(shapes.key(selectors.find_key(fingerprint)))


class Revocation(AccountView):
    """Revoke a key by a statement that it, or another key of its owner, signed."""

    def post(self, request: Request, fingerprint: str) -> Response:
        envelope = read_envelope(read(RevocationIn, request)["envelope"], keys.CLAIM)
        return Response(shapes.key(keys.revoke(account(request), fingerprint, envelope)))


class Backup(AccountView):
    """The owner's wrapped private key; nobody else gets it, or learns that there is one."""

    def get(self, request: Request, fingerprint: str) -> Response:
        return Response(shapes.backup(keys.find_backup(account(request), fingerprint)))

    def put(self, request: Request, fingerprint: str) -> Response:
        given = read(BackupIn, request)
        raw = {name: read_base64(given[name], name) for name in ("wrapped", "salt", "iv")}
        row = keys.backup(account(request), fingerprint, iterations=given["iterations"], **raw)
        return Response(shapes.backup(row))
