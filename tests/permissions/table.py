"""How a row of the matrix reads, and what is sent for each of its cells."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.messages import ERROR
from django.core.signals import request_finished
from django.db import close_old_connections
from django.test import Client

from tests.permissions.scene import Scene

# A stranger; acme's reader rita, its writer bob, its admin alice; a moderator; a stranger who is
# signed in; alice's token of scope `read`, and one of scope `admin` for another model alone.
PEOPLE = ("anonymous", "reader", "member", "owner", "moderator", "mallory", "low", "narrow")
NAMES = {"reader": "rita", "member": "bob", "owner": "alice", "moderator": "staff"}
JSON = "application/json"
SIGN_IN = f"{settings.LOGIN_URL}?"
FORM = "application/x-www-form-urlencoded"

Body = Mapping[str, Any] | list[Any] | bytes | Callable[[Scene], Any] | None
ModelBody = Mapping[str, Any] | bytes | Callable[..., Any] | None

# What comes again and again, of the public model and of the private one.
READ = "404 200 200 200 404 404 200 404"
DRAFT = "404 404 200 200 404 404 200 404"
WRITE = "401 403 201 201 403 403 403 403"
HIDDEN_WRITE = "401 403 201 201 404 404 403 404"
ADMIN = "401 403 403 200 403 403 403 403"
HIDDEN_ADMIN = "401 403 403 200 404 404 403 404"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One method at one address, and the status that each of PEOPLE gets, in their order.

    `path` names places of the scene in braces. `send` is the body, or makes it. Of a page, 401 is a
    redirect to the sign-in page, and 409 one that tells the reader why nothing was done.
    """

    methods: tuple[str, ...]
    path: str
    gets: tuple[int, ...]
    send: Body = None
    kind: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    signed_in: bool = False  # by the cookie of a session, as pages are
    note: str = ""  # where one address has several rows

    @property
    def urlconf(self) -> str:
        """The map that the address is looked up in."""
        plain = ("/hf", "/v2", "/log/", "/.well-known/", "/runtimes/", "/sha256/")
        alone = ("/healthz", "/readyz", "/metrics")
        return "config.urls_plain" if self.path.startswith((*plain, *alone)) else "config.urls"


def row(methods: str, path: str, gets: str, send: Body = None, **more: Any) -> Row:
    """Return the row of a program's address: everybody shows a token."""
    return Row(methods=tuple(methods.split()), path=path, gets=statuses(gets), send=send, **more)


def both(
    methods: str, path: str, opened: str, hidden: str, send: ModelBody = None, **more: Any
) -> tuple[Row, ...]:
    """Return the rows of an address of the public model and of the private one (`{m}`)."""
    return tuple(
        each(methods, path, gets, model, send, **more)
        for model, gets in (("open", opened), ("secret", hidden))
    )


def each(
    methods: str, path: str, gets: str, model: str, send: ModelBody = None, **more: Any
) -> Row:
    """Return the row of `model`; a body that is made gets its name."""
    make = more.pop("make", row)
    sent = partial(send, model=model) if callable(send) else send
    made: Row = make(methods, path.replace("{m", "{" + model), gets, sent, **more)
    return made


def page(methods: str, path: str, gets: str, send: Body = None, **more: Any) -> Row:
    """Return the row of a page: everybody has a session, and a token there is as nobody's."""
    first, *rest = gets.split()
    whole = " ".join((first, *rest, first, first)) if rest else first
    return row(methods, path, whole, send, signed_in=True, **{"kind": FORM, **more})


def made(gets: str, status: int) -> str:
    """Return `gets` with another status for who may."""
    return gets.replace("200", str(status)).replace("201", str(status))


def statuses(gets: str) -> tuple[int, ...]:
    """Return eight statuses; one alone is everybody's."""
    found = tuple(int(word) for word in gets.split())
    return found * len(PEOPLE) if len(found) == 1 else found


def ask(scene: Scene, one: Row, method: str, person: str, sent: Any) -> int:
    """Make the request of one cell; return the status, and of a page's redirect what it means."""
    client = Client(headers={"accept": "*/*", **one.headers})
    name = NAMES.get(person, person)
    if one.signed_in and name in scene.cookies:
        client.cookies[settings.SESSION_COOKIE_NAME] = scene.cookies[name]
    elif name in scene.tokens:
        client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {scene.tokens[name]}"
    raw = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    body = b"" if sent is None else raw
    answer: Any = client.generic(method, scene.at(one.path), body, one.kind)
    if answer.streaming:
        request_finished.disconnect(close_old_connections)  # as the client does for the others
        answer.close()
        request_finished.connect(close_old_connections)
    if one.signed_in and answer.status_code == 302:
        return _meant(answer)
    return int(answer.status_code)


def _meant(answer: Any) -> int:
    """Return 401 for the way to sign in, 409 for a redirect that says why not, else 302."""
    if answer["Location"].startswith(SIGN_IN):
        return 401
    said = getattr(answer.wsgi_request, "_messages", None)
    refused = said is not None and any(one.level == ERROR for one in said._queued_messages)
    return 409 if refused else 302
