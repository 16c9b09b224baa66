"""The addresses below `/v2`: the Open Inference Protocol, REST, with Triton's binary extension."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version as package_version
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from rest_framework.request import Request

from inference.client import ExecutorError, ExecutorUnavailable
from inference.errors import ExecutorAwayError, InferenceError, NotOfferedError
from inference.oip.answers import describe, endpoint, error_response
from inference.oip.body import read_body
from inference.oip.parse import Call, parse_call
from inference.oip.render import render_outputs, respond
from inference.services.asking import executor
from inference.services.plan import Target, Wishes, find_target, make_plan
from inference.services.run import Outcome, infer as run_now
from registry.api.auth import TokenAuthentication
from registry.errors import NotReleasedError
from registry.models import Model
from registry.rights import Caller
from registry.selectors import released_models, releases

# An extension stands here if and only if a test shows it.
EXTENSIONS = ("binary_tensor_data", "model_repository", "parameters")
PLATFORM = "onnx_onnxv1"


def caller_of(request: HttpRequest) -> Caller:
    """Return who sent the token, None without one; AuthenticationFailed when it is not valid."""
    found = TokenAuthentication().authenticate(Request(request))
    return None if found is None else found[0]


@endpoint("GET")
def server(request: HttpRequest) -> HttpResponse:
    """Name this server and what it can do beyond the core."""
    return JsonResponse({"name": "assay", "version": _version(), "extensions": list(EXTENSIONS)})


def _version() -> str:
    try:
        return package_version("assay")
    except PackageNotFoundError:
        return "0"


@endpoint("GET")
def live(request: HttpRequest) -> HttpResponse:
    """Answer while this process runs."""
    return JsonResponse({"live": True})


@endpoint("GET")
def ready(request: HttpRequest) -> HttpResponse:
    """Answer 200 when an executor answers too, else 503."""
    _need_executor()
    return JsonResponse({"ready": True, "live": True})


def _need_executor() -> None:
    try:
        executor().status()
    except (ExecutorError, ExecutorUnavailable) as error:
        raise ExecutorAwayError("No executor answers; try again in a moment.") from error


@endpoint("GET")
def models(request: HttpRequest) -> HttpResponse:
    """List the models that can be run."""
    found = _with_latest(caller_of(request))
    return JsonResponse({"models": [model.full_name for model, _ in found]})


def _with_latest(user: Caller) -> list[tuple[Model, str]]:
    """Return the models that run here, each with the version that runs by default."""
    # The selector's annotation, which the type of a row does not show.
    return [(model, str(vars(model)["latest"])) for model in released_models(user)]


@endpoint("POST")
def index(request: HttpRequest) -> HttpResponse:
    """List the models with the version that runs by default."""
    items = [
        {"name": model.full_name, "version": latest, "state": "READY", "reason": ""}
        for model, latest in _with_latest(caller_of(request))
    ]
    return JsonResponse(items, safe=False)


@endpoint("GET")
def metadata(request: HttpRequest, name: str, version: str | None = None) -> HttpResponse:
    """Tell what a model takes and gives."""
    target = find_target(name, version, caller_of(request))
    found = releases(target.model).filter(yanked_at=None)
    signature = target.signature
    return JsonResponse(
        {
            "name": name,
            "versions": [release.version for release in found],
            "platform": PLATFORM,
            "inputs": [item.to_dict() for item in signature.inputs],
            "outputs": [item.to_dict() for item in signature.outputs],
            "properties": {
                "revision": target.revision.pk,
                "manifest": target.revision.manifest,
                "runtime": str(settings.PORTABLE_RUNTIME.name),
            },
        }
    )


@endpoint("GET")
def model_ready(request: HttpRequest, name: str, version: str | None = None) -> HttpResponse:
    """Answer 200 when a model can be run, 404 when it is unknown, 503 when it cannot be run."""
    try:
        find_target(name, version, caller_of(request))
    except NotReleasedError as error:
        return error_response(503, error.code, error.message)
    _need_executor()
    return JsonResponse({"name": name, "ready": True})


@endpoint("POST")
def infer(request: HttpRequest, name: str, version: str | None = None) -> HttpResponse:
    """Run a model; the answer is durable, and carries its signed statement."""
    return _infer(request, caller_of(request), name, version)


@endpoint("POST")
def infer_in_session(request: HttpRequest, owner: str, name: str, version: str) -> HttpResponse:
    """Do the same for the page, whose session says who asks.

    It lies outside `/v2`, because a session needs Django's CSRF check, which stock clients of the
    protocol could not pass.
    """
    return _infer(request, request.user, f"{owner}/{name}", version)


def _infer(request: HttpRequest, user: Caller, name: str, version: str | None) -> HttpResponse:
    target = find_target(name, version, user)
    call = parse_call(read_body(request), target.signature.inputs)
    wishes = Wishes(
        outputs=call.outputs,
        timeout_s=call.timeout_s,
        priority=call.priority,
        idempotency_key=request.headers.get("Idempotency-Key"),
        kind=call.kind,
    )
    plan = make_plan(target, call.inputs, wishes, user, limit_s=float(settings.INFER_DEADLINE_S))
    outcome = run_now(plan)
    return _answer(request, call, target, name, outcome)


def _answer(
    request: HttpRequest, call: Call, target: Target, name: str, outcome: Outcome
) -> HttpResponse:
    execution = outcome.execution
    address = f"/executions/{execution.pk}/receipt"
    head: dict[str, Any] = {
        "model_name": name,
        "model_version": target.version,
        "id": call.id,
        "parameters": {
            "receipt": execution.receipt,
            "execution_id": str(execution.pk),
            "receipt_url": f"{settings.SITE_URL}{address}",
            "executor": execution.executor,
        },
    }
    try:
        body, json_length = render_outputs(
            head, outcome.outputs, binary=call.binary, default=call.binary_default
        )
    except InferenceError as error:
        # It ran and is in the ledger; only this form cannot carry it.
        return _with_links(describe(error), str(execution.pk), address)
    response = respond(body, json_length, request.headers.get("Accept-Encoding", ""))
    return _with_links(response, str(execution.pk), address)


def _with_links(response: HttpResponse, execution: str, address: str) -> HttpResponse:
    response["Assay-Execution"] = execution
    response["Link"] = f'<{address}>; rel="receipt"'
    return response


@endpoint("GET", "POST")
def not_offered(request: HttpRequest, **_: str) -> HttpResponse:
    """Answer for the parts of Triton's extensions that are not here."""
    raise NotOfferedError(f"{request.path} is not offered here.")


def unknown(request: HttpRequest) -> HttpResponse:
    """Answer for every other address below `/v2`."""
    return error_response(404, "not_found", f"There is nothing at {request.path[:200]}.")
