"""What the views of `/hf` read of a request: who calls, our own address, JSON, cursors."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest, QueryDict, UnreadablePostError
from rest_framework.request import Request

from registry import selectors
from registry.api.auth import TokenAuthentication
from registry.choices import TokenScope
from registry.errors import (
    InvalidInputError,
    LengthRequiredError,
    NotAllowedError,
    TooLargeError,
)
from registry.hf.answers import NotSignedInError
from registry.hf.limits import Windows
from registry.models import ApiToken, Model
from registry.moderated import need_active
from registry.rights import Caller

MOUNT = "/hf"
MAX_JSON = 8 * 2**20
_MAX_DEPTH = 32
_windows = Windows()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request below `/hf`, and whose it is."""

    request: HttpRequest
    user: Caller
    token: ApiToken | None

    @property
    def base(self) -> str:
        """Our own address as this caller spells it, such as `https://host/hf`."""
        return base_of(self.request)

    def account(self, *, write: bool = False) -> AbstractBaseUser:
        """Return the account that calls.

        Raises:
            NotSignedInError: there is no token.
            NotAllowedError: it may only read, and the call writes.
            SuspendedError: it is suspended, and the call writes.
        """
        if not isinstance(self.user, AbstractBaseUser):
            raise NotSignedInError("Send a token of yours: make one under Settings, API tokens.")
        if write and self.token is not None and self.token.scope == TokenScope.READ:
            raise NotAllowedError("This token may only read. Make one with the scope 'write'.")
        if write:
            need_active(self.user)
        return self.user

    def model(self, owner: str, name: str) -> Model:
        """Return the model in the address, which may be one that it had before it moved.

        Raises:
            UnknownModelError: there is none that the caller may know of.
        """
        return selectors.find_model(f"{owner}/{name}", self.user, follow=True)


def base_of(request: HttpRequest) -> str:
    """Return scheme, host and mount as the caller spells them."""
    return f"{request.scheme}://{request.get_host()}{MOUNT}"


def read_call(request: HttpRequest) -> Call:
    """Return who calls: a token's account, or nobody.

    Raises:
        AuthenticationFailed: (DRF's) a token that is none.
        TooFastError: more calls than one caller has.
    """
    found = TokenAuthentication().authenticate(Request(request))
    user, token = (None, None) if found is None else found
    caller = f"user {user.pk}" if user else f"address {address(request)}"
    _windows.take(caller, settings.HUB_CALLS)
    return Call(request=request, user=user, token=token)


def address(request: HttpRequest) -> str:
    """Return the caller's address, which the last trusted proxy wrote down."""
    proxies = settings.ALLAUTH_TRUSTED_PROXY_COUNT
    forwarded = request.headers.get("X-Forwarded-For", "").split(",")
    if proxies and len(forwarded) >= proxies:
        return forwarded[-proxies].strip()[:64]
    return str(request.META.get("REMOTE_ADDR", ""))[:64]


# ------------------------------------------------------------------ bodies


def length(request: HttpRequest) -> int:
    """Return the Content-Length; LengthRequiredError when there is none."""
    value = request.headers.get("Content-Length", "")
    if not (value.isascii() and value.isdigit()):
        raise LengthRequiredError("Send the header Content-Length.")
    return int(value)


def reader(request: HttpRequest) -> Callable[[int], bytes]:
    """Return a `read(n)` of the body that gives `b""` at its announced end and nowhere before.

    A connection that breaks ends a body in silence, perhaps just behind a whole line or chunk:
    what was meant must not be taken for what came.

    Raises:
        LengthRequiredError: the body has no length.
        InvalidInputError: (on reading) the body is shorter than was announced.
    """
    left = length(request)

    def read(count: int) -> bytes:
        nonlocal left
        try:
            piece = request.read(min(count, left))
        except UnreadablePostError:
            piece = b""
        if left and not piece:
            raise InvalidInputError(
                f"The connection ended {left} bytes before the end of the body: send it again."
            )
        left -= len(piece)
        return piece

    return read


def read_json(request: HttpRequest, limit: int = MAX_JSON) -> dict[str, Any]:
    """Return the body as a JSON object, whatever type it claims; an empty one is `{}`.

    Raises:
        LengthRequiredError, TooLargeError, InvalidInputError: no length, longer than `limit`, no
            JSON object, or text that no database keeps (NUL, half a surrogate pair).
    """
    if not {"Content-Length", "Transfer-Encoding"} & set(request.headers):
        return {}
    if length(request) > limit:
        raise TooLargeError(f"This body has at most {limit} bytes.", limit=limit)
    return parse_object(request.read(limit))


def parse_object(data: bytes) -> dict[str, Any]:
    """Return `data` as a JSON object; InvalidInputError when it is none."""
    if not data.strip():
        return {}
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise InvalidInputError("The body is no JSON.") from None
    if not isinstance(value, dict):
        raise InvalidInputError("The body is no JSON object.")
    _check_text(value, 0)
    return value


def _check_text(value: Any, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise InvalidInputError("The body is nested too deeply.")
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
            raise InvalidInputError("The body holds text with a NUL or half a character.")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key, depth + 1)
            _check_text(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_text(item, depth + 1)


def text(fields: dict[str, Any], name: str, default: str = "") -> str:
    """Return the text field `name`; InvalidInputError when it is something else."""
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise InvalidInputError(f"'{name}' is a text.", field=name)
    return value


def items(fields: dict[str, Any], name: str, limit: int) -> list[dict[str, Any]]:
    """Return the field `name`: a list of at most `limit` objects."""
    value = fields.get(name)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise InvalidInputError(f"'{name}' is a list of objects.", field=name)
    if len(value) > limit:
        raise InvalidInputError(f"'{name}' has at most {limit} items.", field=name)
    return value


def whole(fields: dict[str, Any], name: str) -> int:
    """Return the whole, not negative number `name`; InvalidInputError when it is none."""
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise InvalidInputError(f"'{name}' is a whole number.", field=name)
    return value


# ------------------------------------------------------------------ queries


def flag(values: QueryDict, name: str) -> bool:
    """Return a boolean in any of the spellings of the clients."""
    return values.get(name, "").lower() in ("true", "1")


def query_text(values: QueryDict, name: str) -> str:
    """Return the query's `name` fit for the database."""
    return values.get(name, "").replace("\0", "\ufffd")


def next_link(request: HttpRequest, **cursor: str) -> str:
    """Return the `Link` header of the next page: the same query with another cursor."""
    query = request.GET.copy()
    for name, value in cursor.items():
        query[name] = value
    path = request.get_full_path().partition("?")[0]
    pairs = [(name, value) for name, values in query.lists() for value in values]
    return f'<{request.scheme}://{request.get_host()}{path}?{urlencode(pairs)}>; rel="next"'


def write_cursor(value: str) -> str:
    """Return `value` as an opaque cursor."""
    return base64.urlsafe_b64encode(value.encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> str:
    """Return what `write_cursor` took; InvalidInputError for what it did not make."""
    try:
        value = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (ValueError, binascii.Error):
        raise InvalidInputError("This cursor was not made here.", field="cursor") from None
    if "\0" in value:
        raise InvalidInputError("This cursor was not made here.", field="cursor")
    return value
