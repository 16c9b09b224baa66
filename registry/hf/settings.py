"""Who may know of a model, who has the files of a gated one, and whose it is.

The hub knows two switches, private and gated; here a model is public, gated or private. A private
model cannot be gated: who may not know of it has nothing to ask for.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse

from assay.statements import timestamp
from registry.choices import AccessState, Action, Gate, TransferState, Visibility
from registry.errors import InvalidInputError, UnknownRequestError
from registry.hf.answers import HubError, endpoint
from registry.hf.calls import (
    Call,
    next_link,
    read_call,
    read_cursor,
    read_json,
    text,
    write_cursor,
)
from registry.hf.repos import answer, check_kind, halves
from registry.models import AccessRequest, Model
from registry.rights import need
from registry.services import gates, transfers

PAGE = 500
_STATES = {
    "pending": AccessState.WAITING,
    "accepted": AccessState.APPROVED,
    "rejected": AccessState.DECLINED,
}


@endpoint("PUT")
def settings(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Change who may know of a model and whether its files are for who was approved."""
    call = read_call(request)
    user = call.account(write=True)
    model = call.model(owner, name)
    fields = read_json(request)
    visibility = _visibility(fields)
    gated = _gated(fields)
    if visibility is None and gated is None:
        raise InvalidInputError("Send 'gated', 'visibility' or both.")
    row = gates.set_visibility(
        user, model, visibility=_wanted(model, visibility, gated), gate=gated or None
    )
    return answer({"visibility": str(row.visibility), "gated": shown_gate(row)})


def shown_gate(model: Model) -> str | bool:
    """Return the hub's word for how requests for a model's files are answered; False: by none."""
    return str(model.gate) if model.visibility == Visibility.GATED else False


def _visibility(fields: dict[str, Any]) -> str | None:
    """Return `public` or `private`; the older clients send a boolean."""
    if isinstance(fields.get("private"), bool):
        return Visibility.PRIVATE if fields["private"] else Visibility.PUBLIC
    found = text(fields, "visibility")
    if found not in ("", Visibility.PUBLIC, Visibility.PRIVATE):
        raise InvalidInputError("'visibility' is public or private.", field="visibility")
    return found or None


def _gated(fields: dict[str, Any]) -> str | None:
    """Return a gate, `""` for none, None when nothing is said of it."""
    found = fields.get("gated")
    if found is None:
        return None
    if found is False:
        return ""
    if found not in Gate.values:
        raise InvalidInputError("'gated' is auto, manual or false.", field="gated")
    return str(found)


def _wanted(model: Model, visibility: str | None, gated: str | None) -> str:
    private = (visibility or model.visibility) == Visibility.PRIVATE
    if private and gated:
        raise InvalidInputError(
            "A private model is not gated: nobody else knows of it. Make it public as well.",
            field="gated",
        )
    if private:
        return Visibility.PRIVATE
    if gated is None:  # public as before: with its gate, where it has one
        return Visibility.GATED if model.visibility == Visibility.GATED else Visibility.PUBLIC
    return Visibility.GATED if gated else Visibility.PUBLIC


# ------------------------------------------------------------------ whose it is


@endpoint("POST")
def move(request: HttpRequest) -> HttpResponse:
    """Give a model to another owner; where somebody else decides for them, offer it."""
    call = read_call(request)
    user, fields = call.account(write=True), read_json(request)
    check_kind(fields)
    source, target = text(fields, "fromRepo"), text(fields, "toRepo")
    model = call.model(*halves(source))
    to, name = halves(target)
    if name != model.name:
        raise InvalidInputError(
            "A model keeps its name, which its signatures say; only its owner can change.",
            field="toRepo",
        )
    row = transfers.offer(user, model, to=to)
    done = answer({"state": str(row.state), "url": f"{call.base}/models/{row.model.full_name}"})
    if row.state == TransferState.WAITING:
        done["X-HF-Warning"] = f"transfer; {model.full_name} moves when {to} accepts it."
    return done


# ------------------------------------------------------------------ requests for files


@endpoint("GET")
def access_requests(request: HttpRequest, owner: str, name: str, state: str) -> HttpResponse:
    """List the requests for the files of a gated model that stand as `state` says."""
    call = read_call(request)
    model = _gated_model(call, owner, name)
    rows = AccessRequest.objects.select_related("user__owner").filter(
        model=model, state=_STATES[state]
    )
    cursor = request.GET.get("cursor", "")
    if cursor:
        rows = rows.filter(pk__gt=_row_number(read_cursor(cursor)))
    found = list(rows.order_by("pk")[: PAGE + 1])
    more = len(found) > PAGE
    link = next_link(request, cursor=write_cursor(str(found[PAGE - 1].pk))) if more else ""
    return answer([_asked(row, state) for row in found[:PAGE]], link=link)


def _row_number(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 19):
        raise InvalidInputError("This cursor was not made here.", field="cursor")
    return int(value)


def _asked(row: AccessRequest, state: str) -> dict[str, Any]:
    name = row.user.get_username()
    return {
        "requestId": str(row.pk),
        "user": {"user": name, "fullname": name},
        "status": state,
        "timestamp": timestamp(row.asked_at),
        "fields": {"reason": row.reason},
    }


def _gated_model(call: Call, owner: str, name: str) -> Model:
    user = call.account()
    model = call.model(owner, name)
    need(user, Action.SETTINGS, model)
    if model.visibility != Visibility.GATED:
        raise HubError(400, f"{model.full_name} is not gated.")
    return model


@endpoint("POST")
def handle_request(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Approve or decline a request."""
    call = read_call(request)
    user = call.account(write=True)
    model = _gated_model(call, owner, name)
    fields = read_json(request)
    asker = _asker(model, fields)
    match text(fields, "status"):
        case "accepted":
            gates.approve(user, model, name=asker)
        case "rejected":
            gates.decline(user, model, name=asker)
        case _:
            raise InvalidInputError(
                "'status' is accepted or rejected; what was approved can be rejected.",
                field="status",
            )
    return answer({})


def _asker(model: Model, fields: dict[str, Any]) -> str:
    found = text(fields, "user")
    if found:
        return found
    number = _row_number(text(fields, "requestId"))
    row = AccessRequest.objects.select_related("user").filter(model=model, pk=number).first()
    if row is None:
        raise UnknownRequestError(f"There is no such request for {model.full_name}.")
    return str(row.user.get_username())


@endpoint("POST")
def grant(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Approve somebody; here only those who asked can be."""
    call = read_call(request)
    user = call.account(write=True)
    model = _gated_model(call, owner, name)
    gates.approve(user, model, name=text(read_json(request), "user"))
    return answer({})
