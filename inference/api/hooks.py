"""`/api/v1/webhooks`: a person's webhooks, and what was sent to them."""

from __future__ import annotations

import uuid
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


class HookView(AccountView):
    """Only an account's own; writing needs a token's scope."""

    parser_classes = (StrictJSONParser,)


class Webhooks(HookView):
    """List one's webhooks, or make one."""

    def get(self, request: Request) -> Response:
        """List them, newest first."""
        return Response({"items": [shape(row) for row in hooks.hooks_of(request.user)]})

    def post(self, request: Request) -> Response:
        """Make one for `url`; the answer, and nothing after it, has the secret."""
        given = request.data
        if not isinstance(given, dict) or set(given) != {"url"} or type(given["url"]) is not str:
            raise BadRequestError("Send an object with one field, 'url', a string.", field="url")
        made = hooks.create(account(request), given["url"])
        body = {**shape(made.hook), "secret": made.secret}
        headers = {"Location": body["address"], "Cache-Control": "no-store"}
        return Response(body, status=201, headers=headers)


class OneWebhook(HookView):
    """One of one's webhooks."""

    def get(self, request: Request, webhook: uuid.UUID) -> Response:
        """Return it, without its secret."""
        return Response(shape(hooks.find_hook(webhook, request.user)))

    def delete(self, request: Request, webhook: uuid.UUID) -> Response:
        """Delete it with its secret and its deliveries."""
        hooks.delete(account(request), webhook)
        return Response(status=204)


class Test(HookView):
    """A message that tells of nothing."""

    def post(self, request: Request, webhook: uuid.UUID) -> Response:
        """Queue it; the deliveries say whether it arrived."""
        row = hooks.send_test(hooks.find_hook(webhook, request.user))
        return Response(delivery(row), status=202)


class Deliveries(HookView):
    """What was sent, or waits to be."""

    def get(self, request: Request, webhook: uuid.UUID) -> Response:
        """List it, newest first: `?state=&cursor=`."""
        hook = hooks.find_hook(webhook, request.user)
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
        row = hooks.redeliver(hooks.find_hook(webhook, request.user), delivery_id)
        return Response(delivery(row), status=202)


def shape(row: Hook) -> dict[str, Any]:
    """Return a webhook as JSON; there is no secret in it."""
    return {
        "id": str(row.pk),
        "address": f"/api/v1/webhooks/{row.pk}",
        "url": row.url,
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
