"""What the views share: who may call, strict parsing, envelopes, Content-Digest."""

from __future__ import annotations

import re
from typing import Any, cast

from allauth.account.internal.flows.reauthentication import did_recently_reauthenticate
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from rest_framework.permissions import IsAuthenticated, IsAuthenticatedOrReadOnly
from rest_framework.request import Request
from rest_framework.serializers import Serializer

from assay.canonical import decode_base64
from assay.dsse import Envelope, parse_envelope
from assay.errors import AssayError
from registry import selectors
from registry.api.auth import ReadOrWriteScope
from registry.api.rest import RestView
from registry.errors import (
    BadSignatureError,
    InvalidInputError,
    LengthRequiredError,
    NotAllowedError,
    TooLargeError,
)
from registry.models import Model
from registry.rights import Caller

_CONTENT_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")


class PublicView(RestView):
    """Everybody reads, accounts write (a token needs the scope)."""

    permission_classes = (IsAuthenticatedOrReadOnly, ReadOrWriteScope)


class AccountView(RestView):
    """Only accounts."""

    permission_classes = (IsAuthenticated, ReadOrWriteScope)


def caller(request: Request) -> Caller:
    """Return who asks; may be anonymous."""
    return request.user


def account(request: Request) -> AbstractBaseUser:
    """Return who asks; the permissions of the view have seen to it that it is an account."""
    user = request.user
    if not isinstance(user, AbstractBaseUser):
        raise TypeError("the view lets anonymous callers in")
    return user


def need_said_again(request: Request) -> None:
    """Let a browser's session do what outlives it only when it has just said again who it is.

    Raises:
        NotAllowedError: it has not. A program, which has a token, is asked for its scope instead.
    """
    if request.auth is None and not did_recently_reauthenticate(cast(HttpRequest, request)):
        raise NotAllowedError(
            "A session does this only when it has just said again who it is: go to "
            "/accounts/reauthenticate/ first, or send a token of scope admin."
        )


def read(shape: type[Serializer[Any]], request: Request) -> dict[str, Any]:
    """Return the checked body.

    Raises:
        ValidationError: (DRF's) names the fields that are wrong.
        TooLargeError: more JSON than any call needs.
    """
    try:
        serializer = shape(data=request.data)
    except RequestDataTooBig:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raise TooLargeError("The body is larger than JSON may be here.", limit=limit) from None
    serializer.is_valid(raise_exception=True)
    data: dict[str, Any] = serializer.validated_data
    return data


def find_model(request: Request, owner: str, name: str) -> Model:
    """Return the model in the address; UnknownModelError when the caller may not know of it."""
    return selectors.find_model(f"{owner}/{name}", caller(request))


def read_envelope(value: dict[str, Any], claim: str) -> Envelope:
    """Return a DSSE envelope from its JSON; BadSignatureError says what is wrong with it."""
    try:
        return parse_envelope(value)
    except AssayError as error:
        raise BadSignatureError(
            f"The {claim} envelope is not well-formed: {error}.",
            claim=claim,
            field=getattr(error, "path", ""),
        ) from error


def read_base64(value: str, field: str) -> bytes:
    """Return the bytes of a base64 field; InvalidInputError names it."""
    try:
        return decode_base64(value)
    except AssayError as error:
        raise InvalidInputError(f"'{field}' is not base64.", field=field) from error


def content_digest(request: Request) -> str:
    """Return the hex SHA-256 in the Content-Digest header (RFC 9530, section 2).

    Other algorithms beside it are not looked at.

    Raises:
        InvalidInputError: there is none.
    """
    for item in request.headers.get("Content-Digest", "").split(","):
        match = _CONTENT_DIGEST.fullmatch(item.strip())
        if match:
            return read_base64(match[1], "Content-Digest").hex()
    raise InvalidInputError(
        "Send the header Content-Digest: sha-256=:<base64>: (RFC 9530).", field="Content-Digest"
    )


def content_length(request: Request) -> int:
    """Return the Content-Length; LengthRequiredError when there is none."""
    value = request.headers.get("Content-Length", "")
    if not (value.isascii() and value.isdigit()):
        raise LengthRequiredError("Send the header Content-Length.")
    return int(value)
