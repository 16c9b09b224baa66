"""`infer`: at once, or accepted and queued where the caller prefers that (RFC 7240).

Answered 200 means durable: execution, output and ledger entry are written. Stock clients of the
protocol never send `Prefer` and take every status but 200 for an error, so without it there is no
202. What `Prefer` starts is an execution of `/api/v1/executions` like any other.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse

from assay.digests import sha256
from assay.tensors import Tensor
from inference import quota, selectors, tasks
from inference.choices import TERMINAL
from inference.errors import BadTensorError, InferenceError
from inference.models import Execution
from inference.oip.answers import describe, endpoint
from inference.oip.body import read_body
from inference.oip.parse import Call, parse_call
from inference.oip.render import render_outputs, respond
from inference.oip.views import caller_of
from inference.prefer import Preferences, parse_cancel_after, parse_prefer
from inference.recent import Recent
from inference.services import expiry
from inference.services.plan import Plan, Target, Wishes, make_plan, output_names, recent_target
from inference.services.run import Outcome, infer as run_now, outcome_of
from inference.services.submit import submit
from inference.services.values import BINARY_ONLY
from inference.services.waiting import wait_ended
from registry.rights import Caller

_callers: Recent[Caller] = Recent()


@endpoint("POST")
def infer(request: HttpRequest, name: str, version: str | None = None) -> HttpResponse:
    """Run a model; the answer is durable, and carries its signed statement."""
    sent = request.headers.get("Authorization", "")
    # By its digest: a token lies in no memory longer than its request.
    user = _callers.get(sha256(sent.encode()), lambda: caller_of(request))
    return _infer(request, user, name, version)


@endpoint("POST")
def infer_in_session(request: HttpRequest, owner: str, name: str, version: str) -> HttpResponse:
    """Do the same for the page, whose session says who asks.

    It lies outside `/v2`, because a session needs Django's CSRF check, which stock clients of the
    protocol could not pass.
    """
    return _infer(request, request.user, f"{owner}/{name}", version)


def _infer(request: HttpRequest, user: Caller, name: str, version: str | None) -> HttpResponse:
    with quota.running(request, user):
        target = recent_target(name, version, user)
        call = parse_call(read_body(request), target.signature.inputs)
        prefer = parse_prefer(request.headers.get("Prefer", ""))
        queued = prefer.respond_async or prefer.wait_s is not None
        limit_s = settings.INFER_QUEUED_DEADLINE_S if queued else settings.INFER_DEADLINE_S
        plan = make_plan(target, call.inputs, _wishes(request, call), user, limit_s=float(limit_s))
        _check_carried(call, plan)
        if queued:
            return _submit(request, user, call, plan, prefer, name)
        # gunicorn's connection to whoever asks: its end stops the run.
        outcome = run_now(plan, caller=request.META.get("gunicorn.socket"))
        return _answer(request, call, target, name, outcome)


def _wishes(request: HttpRequest, call: Call) -> Wishes:
    times = [call.timeout_s, parse_cancel_after(request.headers.get("Cancel-After"))]
    return Wishes(
        outputs=call.outputs,
        timeout_s=min((float(time) for time in times if time is not None), default=None),
        priority=call.priority,
        idempotency_key=request.headers.get("Idempotency-Key"),
        kind=call.kind,
        private=call.private,
    )


def _check_carried(call: Call, plan: Plan) -> None:
    """Refuse to run what could not be answered in the form that is asked for.

    Raises:
        BadTensorError: JSON was asked for an output of a type that JSON cannot carry.
    """
    types = {item.name: item.datatype for item in plan.target.signature.outputs}
    for name in output_names(plan.execution):
        if types[name] in BINARY_ONLY and not call.binary.get(name, call.binary_default):
            raise BadTensorError(
                f"Output '{name}' is {types[name]}, which JSON cannot carry: ask for binary data.",
                tensor=name,
            )


def _submit(
    request: HttpRequest, user: Caller, call: Call, plan: Plan, prefer: Preferences, name: str
) -> HttpResponse:
    """Queue `plan`, wait as long as is preferred, and answer its end or that it was accepted."""
    submitted = submit(plan)
    pk = submitted.execution.pk
    if submitted.new:
        transaction.on_commit(tasks.wake)
    wait_ended(pk, prefer.wait_s or 0)
    execution = selectors.find(pk, user)
    ended = execution.state in TERMINAL
    if ended:
        response = _end(request, call, plan.target, name, execution)
        expiry.given(execution)
    else:
        response = _accepted(call, plan.target, name, execution)
    if applied := prefer.applied(ended=ended):
        response["Preference-Applied"] = applied
    response["Location"] = f"/api/v1/executions/{pk}"
    return response


def _end(
    request: HttpRequest, call: Call, target: Target, name: str, execution: Execution
) -> HttpResponse:
    try:
        outcome = outcome_of(execution)
    except InferenceError as error:
        return describe(error)
    return _answer(request, call, target, name, outcome)


def _accepted(call: Call, target: Target, name: str, execution: Execution) -> HttpResponse:
    body = {**_head(call, target, name, execution), "outputs": []}
    body["parameters"] = {**body["parameters"], "state": execution.state}
    response = JsonResponse(body, status=202)
    response["Content-Length"] = str(len(response.content))
    response["Assay-Execution"] = str(execution.pk)
    return response


def _head(call: Call, target: Target, name: str, execution: Execution) -> dict[str, Any]:
    """Return what stands before the outputs; values of `parameters` are strings alone."""
    said = {
        "receipt": execution.receipt,
        "execution_id": str(execution.pk),
        "receipt_url": f"{settings.SITE_URL}{_receipt(execution)}",
        "executor": execution.executor,
    }
    if execution.salts:
        said["salt"] = f"{execution.salts['input']}.{execution.salts['output']}"
    return {
        "model_name": name,
        "model_version": target.version,
        "id": call.id,
        "parameters": {key: text for key, text in said.items() if text},
    }


def _answer(
    request: HttpRequest, call: Call, target: Target, name: str, outcome: Outcome
) -> HttpResponse:
    execution, outputs = outcome.execution, outcome.outputs
    head = _head(call, target, name, execution)
    try:
        body, length = _render(head, outputs, call)
    except InferenceError as error:
        # It ran and is in the ledger; only this form cannot carry it.
        return _with_links(describe(error), execution)
    response = respond(body, length, request.headers.get("Accept-Encoding", ""))
    return _with_links(response, execution)


def _render(
    head: dict[str, Any], outputs: tuple[Tensor, ...], call: Call
) -> tuple[bytes, int | None]:
    return render_outputs(head, outputs, binary=call.binary, default=call.binary_default)


def _receipt(execution: Execution) -> str:
    return f"/executions/{execution.pk}/receipt"


def _with_links(response: HttpResponse, execution: Execution) -> HttpResponse:
    response["Assay-Execution"] = str(execution.pk)
    response["Link"] = f'<{_receipt(execution)}>; rel="receipt"'
    return response
