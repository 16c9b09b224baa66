"""`/api/v1/keys`: register, list, rename, rotate, revoke, back up."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from registry import selectors, signers
from registry.api import shapes
from registry.api.base import (
    AccountView,
    PublicView,
    account,
    find_model,
    read,
    read_base64,
    read_envelope,
)
from registry.api.paging import page_of, page_rows
from registry.api.serializers import BackupIn, KeyIn, KeyNameIn, RevocationIn, RotationIn
from registry.proofs import dsse_of
from registry.services import keys, rotation


class Keys(PublicView):
    """List keys (`?owner=`), or register one: the envelope is self-signed."""

    def get(self, request: Request) -> Response:
        rows = selectors.keys_of(request.query_params.get("owner", ""))
        return page_rows(request, rows, ("created_at", "fingerprint"), shapes.key)

    def post(self, request: Request) -> Response:
        given = read(KeyIn, request)
        envelope = read_envelope(dsse_of(given["envelope"]), keys.CLAIM)
        key = keys.register(account(request), envelope, name=given["name"])
        return Response(shapes.key(key), status=201)


class Key(PublicView):
    """One key, or a new name for it."""

    def get(self, request: Request, fingerprint: str) -> Response:
        return Response(shapes.key(selectors.find_key(fingerprint)))

    def patch(self, request: Request, fingerprint: str) -> Response:
        given = read(KeyNameIn, request)
        return Response(shapes.key(keys.rename(account(request), fingerprint, **given)))


class Rotation(AccountView):
    """Let a new key take the place of this one: one statement, signed by both."""

    def post(self, request: Request, fingerprint: str) -> Response:
        given = read(RotationIn, request)
        key = rotation.rotate(
            account(request),
            fingerprint,
            envelope=read_envelope(dsse_of(given["envelope"]), keys.CLAIM),
            previous=read_envelope(dsse_of(given["previous"]), keys.CLAIM),
            name=given["name"],
        )
        return Response(shapes.key(selectors.find_key(key.pk)), status=201)


class Revocation(AccountView):
    """Revoke a key by a statement that it, or another key of its owner, signed."""

    def post(self, request: Request, fingerprint: str) -> Response:
        given = read(RevocationIn, request)
        envelope = read_envelope(dsse_of(given["envelope"]), keys.CLAIM)
        key = keys.revoke(account(request), fingerprint, envelope, reason=given["reason"])
        return Response(shapes.key(key))


class Backup(AccountView):
    """The owner's wrapped private key; nobody else gets it, or learns that there is one."""

    tagged = False

    def get(self, request: Request, fingerprint: str) -> Response:
        return Response(shapes.backup(keys.find_backup(account(request), fingerprint)))

    def put(self, request: Request, fingerprint: str) -> Response:
        given = read(BackupIn, request)
        raw = {name: read_base64(given[name], name) for name in ("wrapped", "salt", "iv")}
        row = keys.backup(account(request), fingerprint, iterations=given["iterations"], **raw)
        return Response(shapes.backup(row))


class Signers(PublicView):
    """Who signed the releases of a model, from when to when, newest first."""

    def get(self, request: Request, owner: str, name: str) -> Response:
        found = signers.history(find_model(request, owner, name))
        return page_of(request, found, lambda one: f"{one.key.pk} {one.first}", shapes.signer)
