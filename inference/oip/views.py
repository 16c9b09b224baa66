"""The addresses below `/v2` but `infer`: health, metadata, and what is not offered."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version as package_version

from django.http import HttpRequest, HttpResponse, JsonResponse
from rest_framework.request import Request

from inference import quarantine, runtimes
from inference.client import ExecutorError, ExecutorUnavailableError
from inference.errors import ExecutorAwayError, NotOfferedError, NotRunnableError
from inference.oip.answers import endpoint, error_response
from inference.services.asking import executor
from inference.services.plan import find_target
from registry.api.auth import TokenAuthentication
from registry.errors import NoGraphError, NotReleasedError
from registry.models import Model
from registry.rights import Caller
from registry.selectors import STANDS, released_models, releases

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
    except (ExecutorError, ExecutorUnavailableError) as error:
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
    found = releases(target.model).filter(STANDS)
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
                "runtime": runtimes.current().runtime.digest,
            },
        }
    )


@endpoint("GET")
def model_ready(request: HttpRequest, name: str, version: str | None = None) -> HttpResponse:
    """Answer 200 when a model can be run, 404 when it is unknown, 503 when it cannot be run."""
    retry = {"Retry-After": str(NotRunnableError.retry_after_s)}
    try:
        target = find_target(name, version, caller_of(request))
    except (NotReleasedError, NoGraphError) as error:
        return error_response(503, error.code, error.message, retry)
    _need_executor()
    notice = quarantine.notice_of(target.signature.ref)
    if notice is not None:
        return error_response(503, NotRunnableError.code, notice.reason, retry)
    return JsonResponse({"name": name, "ready": True})


@endpoint("GET", "POST")
def not_offered(request: HttpRequest, **_: str) -> HttpResponse:
    """Answer for the parts of Triton's extensions that are not here."""
    raise NotOfferedError(f"{request.path} is not offered here.")


def unknown(request: HttpRequest) -> HttpResponse:
    """Answer for every other address below `/v2`."""
    return error_response(404, "not_found", f"There is nothing at {request.path[:200]}.")
