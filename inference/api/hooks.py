"""`/api/v1/webhooks`: a person's, an owner's or a model's, and what was sent to them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from assay.statements import timestamp
from inference.api.parsers import StrictJSONParser
from inference.choices import DeliveryState
from inference.errors import BadRequestError
from inference.models import Delivery, Hook
from inference.services import hooks
from registry.api.base import AccountView, account
from registry.api.paging import page_rows
from registry.services import webhooks


class HookView(AccountView):
    """Only an account's own; writing needs a token's scope."""

    parser_classes = (StrictJSONParser,)


class Webhooks(HookView):
    """List one's webhooks, or make one."""

    def get(self, request: Request) -> Response:
        """List one's own, newest first; or those of `?owner=` or `?model=`."""
        asked = request.query_params
        owner, model = asked.get("owner", ""), asked.get("model", "")
        if owner or model:
            about = webhooks.find_about(account(request), owner=owner, model=model)
            return page_rows(request, hooks.hooks_about(about), ("-id",), shape)
        return page_rows(request, hooks.hooks_of(request.user), ("-id",), shape)

    def post(self, request: Request) -> Response:
        """Make one for `url`; the answer, and nothing after it, has the secret.

        With `owner` or `model` it tells of changes to that, of `events` alone where some are named.
        """
        given = _read_hook(request)
        about = None
        if given.owner or given.model:
            about = webhooks.find_about(account(request), owner=given.owner, model=given.model)
        made = hooks.create(account(request), given.url, about=about, events=given.events)
        body = {**shape(made.hook), "secret": made.secret}
        headers = {"Location": body["address"], "Cache-Control": "no-store"}
        return Response(body, status=201, headers=headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """What a new webhook shall be."""

    url: str
    owner: str
    model: str
    events: tuple[str, ...]


def _read_hook(request: Request) -> _Given:
    given = request.data
    if not isinstance(given, dict) or type(given.get("url")) is not str:
        raise BadRequestError("Send an object with the field 'url', a string.", field="url")
    unknown = sorted(set(given) - {"url", "owner", "model", "events"})
    if unknown:
        raise BadRequestError(f"The field '{unknown[0][:64]}' is unknown.", field=unknown[0][:64])
    for name in ("owner", "model"):
        if name in given and type(given[name]) is not str:
            raise BadRequestError(f"The field '{name}' is a string.", field=name)
    events = given.get("events", [])
    if not isinstance(events, list) or not all(type(event) is str for event in events):
        raise BadRequestError("The field 'events' is an array of strings.", field="events")
    owner, model = given.get("owner", ""), given.get("model", "")
    if events and not (owner or model):
        raise BadRequestError("Events are those of an 'owner' or a 'model'.", field="events")
    return _Given(url=given["url"], owner=owner, model=model, events=tuple(events))


class OneWebhook(HookView):
    """One of one's webhooks, or of those of an owner or a model whose settings one may change."""

    def get(self, request: Request, webhook: uuid.UUID) -> Response:
        """Return it, without its secret."""
        return Response(shape(hooks.manage_hook(webhook, request.user)))

    def delete(self, request: Request, webhook: uuid.UUID) -> Response:
        """Delete it with its secret and its deliveries."""
        hooks.delete(account(request), webhook)
        return Response(status=204)


class Test(HookView):
    """A message that tells of nothing."""

    def post(self, request: Request, webhook: uuid.UUID) -> Response:
        """Queue it; the deliveries say whether it arrived."""
        row = hooks.send_test(hooks.manage_hook(webhook, request.user))
        return Response(delivery(row), status=202)


class Deliveries(HookView):
    """What was sent, or waits to be."""

    def get(self, request: Request, webhook: uuid.UUID) -> Response:
        """List it, newest first: `?state=&cursor=`."""
        hook = hooks.manage_hook(webhook, request.user)
        state = request.query_params.get("state", "")
        if state and state not in DeliveryState.values:
            raise BadRequestError(f"A state is one of {', '.join(DeliveryState.values)}.")
        cursor = request.query_params.get("cursor", "")
        page = hooks.deliveries(hook, state=state, cursor=cursor)
        return Response({"items": [delivery(row) for row in page.rows], "next": page.next})


class Redeliver(HookView):
    """A message once more."""

    def post(self, request: Request, webhook: uuid.UUID, delivery_id: uuid.UUID) -> Response:
        """Queue it again, under the same id."""
        row = hooks.redeliver(hooks.manage_hook(webhook, request.user), delivery_id)
        return Response(delivery(row), status=202)


def shape(row: Hook) -> dict[str, Any]:
    """Return a webhook as JSON; there is no secret in it."""
    return {
        "id": str(row.pk),
        "address": f"/api/v1/webhooks/{row.pk}",
        "url": row.url,
        "owner": row.watch.owner.name if row.watch else None,
        "model": row.watch.model.full_name if row.watch and row.watch.model else None,
        "events": row.watch.events if row.watch else [],
        "created_by": row.owner.get_username(),
        "created_at": timestamp(row.created_at),
        "disabled_at": None if row.disabled_at is None else timestamp(row.disabled_at),
    }


def delivery(row: Delivery) -> dict[str, Any]:
    """Return a delivery as JSON: `id` is the message's `webhook-id`."""
    waits = row.state == DeliveryState.WAITING
    attempted = row.last_attempt_at
    return {
        "id": str(row.pk),
        "event": row.event,
        "about": row.about or None,
        "state": row.state,
        "attempts": row.attempts,
        "created_at": timestamp(row.created_at),
        "next_attempt_at": timestamp(row.due_at) if waits else None,
        "last_attempt_at": None if attempted is None else timestamp(attempted),
        "last_status": row.last_status,
        "last_error": row.last_error or None,
        "body": row.body,
    }
