"""The Run tab of a model: a form made from its inputs. It works without a script.

With one, a reader also draws, drops pictures and files, and may run the model in the browser: then
nothing is sent, and nothing is logged.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from assay.errors import UnavailableError
from inference import quota, runtimes, shown as shows
from inference.choices import ExecutorKind
from inference.errors import BadRequestError, InferenceError
from inference.oip.parse import parse_json
from inference.services.examples import example_of, given_of
from inference.services.plan import Signature, Wishes, find_target, make_plan, signature_of
from inference.services.request import Given, read_json_tensor
from inference.services.run import Outcome, infer
from ledger.errors import LedgerError
from registry import selectors
from registry.choices import Visibility
from registry.errors import RegistryError
from registry.models import Release, Revision
from registry.views.shown import shown

_WASM = "ort-wasm-simd-threaded.wasm"


@require_http_methods(["GET", "HEAD", "POST"])
def run(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Show the form made from the model's inputs; run what was typed, and keep it."""
    found = shown(request, owner, name)
    context: dict[str, Any] = {**found.context(), "result": None, "error": None, "inputs": []}
    if found.release is not None:
        try:
            context |= _form(request, found.model.full_name, found.release)
        except (InferenceError, RegistryError) as error:
            context["error"] = _told(error)
    context.setdefault("typed", request.POST.get("inputs", ""))
    refused = context["error"] if request.method == "POST" else None
    status = refused["status"] if refused else 200
    response = render(request, "inference/run.html", context, status=status)
    if refused and refused["retry_after_s"] is not None:
        response["Retry-After"] = str(refused["retry_after_s"])
    return response


def _told(error: InferenceError | LedgerError | RegistryError) -> dict[str, Any]:
    return {
        "code": error.code,
        "message": error.message,
        "status": error.status,
        "retry_after_s": getattr(error, "retry_after_s", None),
    }


def _form(request: HttpRequest, full_name: str, release: Release) -> dict[str, Any]:
    signature = signature_of(release.revision)
    context: dict[str, Any] = {
        "inputs": [item.to_dict() for item in signature.inputs],
        "local": _local(release, signature),
        "expects": shows.answer_words(release.revision.card_metadata),
    }
    if request.method != "POST":
        example = _declared_example(release.revision, signature)
        return {**context, "typed": shows.example_inputs(signature.inputs, example)}
    typed = request.POST.get("inputs", "")
    context["typed"] = typed
    try:
        # This form is no way around what the same caller may ask for elsewhere.
        with quota.running(request, request.user):
            target = find_target(full_name, release.version, request.user)
            given = [read_json_tensor(item, index) for index, item in enumerate(_items(typed))]
            limit_s = float(settings.INFER_DEADLINE_S)
            plan = make_plan(target, given, Wishes(), request.user, limit_s=limit_s)
            outcome = infer(plan)
        return {**context, "result": _result(outcome)}
    except (InferenceError, LedgerError) as error:
        return {**context, "error": _told(error)}


def _declared_example(revision: Revision, signature: Signature) -> Given | None:
    """Return the card's example where the model takes it."""
    card, kind = revision.card_metadata, ExecutorKind.PORTABLE
    fits = example_of(card, signature.inputs, kind) is not None
    return given_of(card, signature.inputs) if fits else None


def _local(release: Release, signature: Signature) -> dict[str, Any] | None:
    """Return what a browser needs to run `release` itself; None where it cannot.

    It asks for the content by digest, as anybody: only of a public model is that answered.
    """
    if release.revision.model.visibility != Visibility.PUBLIC:
        return None
    try:
        installed = runtimes.current()
        runtime_bytes = (Path(installed.folder) / _WASM).stat().st_size
    except (UnavailableError, OSError):
        return None
    ref = signature.ref
    files = selectors.files(release.revision).filter(path__in=[ref.graph, *ref.external])
    sizes = {file.path: (file.blob_id, file.blob.size) for file in files}
    if ref.graph not in sizes:
        return None
    return {
        "graph": {"path": ref.graph, "sha256": sizes[ref.graph][0]},
        "manifest": release.revision.manifest,
        "runtime": installed.runtime.to_dict(),
        "model_bytes": sum(size for _, size in sizes.values()),
        "runtime_bytes": runtime_bytes,
    }


def _items(typed: str) -> list[Any]:
    value = parse_json(typed.encode("utf-8", "replace"))
    items = value.get("inputs") if isinstance(value, dict) else value
    if not isinstance(items, list):
        raise BadRequestError("Write an array of tensors, or an object with the field 'inputs'.")
    return items


def _result(outcome: Outcome) -> dict[str, Any]:
    execution = outcome.execution
    return {
        "execution": execution,
        "outputs": shows.outputs_view(outcome.outputs),
        "receipt_url": f"/executions/{execution.pk}/receipt",
    }
