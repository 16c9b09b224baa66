"""What somebody pasted into a search box that nobody types: a receipt, in whatever form.

A Sigstore bundle, a DSSE envelope, the compact form of a header, or a whole answer with one in it.
It is read for what it names. Nothing about it is checked here: that is for the reader's machine.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from assay.canonical import parse_json
from assay.dsse import Envelope, parse_compact, parse_envelope
from assay.errors import AssayError
from assay.receipt import execution_of
from assay.statements import EXECUTION, parse_statement
from ledger import services as ledger
from registry import selectors
from registry.errors import RegistryError


def answer(request: HttpRequest, text: str) -> HttpResponse:
    """Lead to what a receipt is about: an execution that the reader may know of, else its entry."""
    envelope = envelope_in(text)
    if envelope is None:
        return render(request, "registry/pasted.html", {"pasted": text}, status=400)
    entry = ledger.entry_of_payload(envelope.pae_sha256)
    if entry is None:
        known = {"pae_sha256": envelope.pae_sha256.hex(), "pasted": text}
        return render(request, "registry/pasted.html", known, status=404)
    execution = execution_in(envelope)
    if execution and _may_know(request, entry.model):
        return redirect(f"/executions/{quote(execution)}/")
    return redirect(ledger.entry_url(entry))


def envelope_in(text: str) -> Envelope | None:
    """Return the envelope of a receipt in any of its forms, None for any other text."""
    try:
        if not text.lstrip().startswith("{"):
            return parse_compact("".join(text.split()))
        value = parse_json(text.encode("utf-8", "replace"))
        return _inside(value) if isinstance(value, dict) else None
    except AssayError:
        return None


def _inside(value: dict[str, Any]) -> Envelope | None:
    """Return the envelope in a bundle, itself, or in the answer of a model or of the REST API."""
    parameters = value.get("parameters")
    receipt = value.get("receipt") or (isinstance(parameters, dict) and parameters.get("receipt"))
    if isinstance(receipt, str):
        return parse_compact(receipt)
    bundle = value.get("bundle")
    found = (bundle if isinstance(bundle, dict) else value).get("dsseEnvelope", value)
    return parse_envelope(found) if isinstance(found, dict) else None


def execution_in(envelope: Envelope) -> str:
    """Return the id of the execution that a statement is about, "" for another statement."""
    try:
        statement = parse_statement(envelope.payload)
        if statement.predicate_type != EXECUTION:
            return ""
        return execution_of(statement).execution
    except AssayError:
        return ""


def _may_know(request: HttpRequest, model: str) -> bool:
    try:
        selectors.find_model(model, request.user, follow=True)
    except RegistryError:
        return False
    return True
