"""What may go wrong: every code with its status and words, and which a view may answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from rest_framework.permissions import IsAuthenticated
from rest_framework.views import APIView

from config.openapi.terms import JSON, OBJECT, TEXT, Op, Schema, described, part, shape
from inference.api.parsers import StrictJSONParser
from inference.errors import InferenceError
from ledger.errors import LedgerError
from registry.api.rest import EDITS, READS, RestView
from registry.errors import RegistryError

# What DRF and `config.api` say, whatever is asked.
GENERAL = {
    "invalid_input": (400, "A field is missing or wrong; `detail` names it."),
    "not_authenticated": (401, "Nobody is signed in, or the token is not good."),
    "not_found": (404, "There is nothing at this address."),
    "not_acceptable": (406, "Answers are not of the asked media type."),
    "unsupported_media_type": (415, "The body is of another media type."),
    "unavailable": (503, "The database does not answer; try again in a moment."),
}
PROBLEM = "application/problem+json"  # RFC 9457: what status 451 answers with
# A part of the address -> what it is, and the code when there is none of that name.
PLACES = {
    "owner": ("A person or an organisation.", "unknown_owner"),
    "name": ("The model's own name.", "unknown_model"),
    "revision": ("A revision's id.", "unknown_revision"),
    "version": ("A version, an alias, `latest` or a revision's id.", "unknown_revision"),
    "export": ("The name of an export.", "unknown_file"),
    "alias": ("An alias.", "unknown_revision"),
    "member": ("A user name.", "unknown_request"),
    "person": ("A user name.", "unknown_request"),
    "publisher_id": ("A trusted publisher.", "unknown_publisher"),
    "transfer_id": ("A transfer.", "unknown_request"),
    "action_number": ("The number of an action of moderators.", "unknown_action"),
    "upload_id": ("An upload.", "unknown_upload"),
    "number": ("A number.", ""),
    "digest": ("A token's id.", "unknown_token"),
    "fingerprint": ("A key's fingerprint.", "unknown_key"),
    "pae_sha256": ("SHA-256 of the PAE.", "not_found"),
    "index": ("The entry's index.", "not_found"),
    "execution": ("An execution.", "unknown_execution"),
    "batch": ("A batch.", "unknown_execution"),
    "trace": ("A trace.", "unknown_trace"),
    "webhook": ("A webhook.", "unknown_webhook"),
    "delivery_id": ("A message.", "unknown_webhook"),
    "schedule": ("A schedule.", "unknown_schedule"),
}
# Parts that are numbers: one below zero leads to no view.
NUMBERS = frozenset({"action_number", "number", "publisher_id", "transfer_id"})

SHAPES: dict[str, Schema] = {
    "Problem": shape(
        "What went wrong: a stable code, words for people, and detail about this case.",
        error=shape(code=TEXT, message=TEXT, detail=OBJECT),
    ),
}


@cache
def known() -> Mapping[str, tuple[int, str]]:
    """Return every code with its status and words."""
    found = {}
    for base in (LedgerError, RegistryError, InferenceError):
        for kind in _below(base):
            words = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
            found[kind.code] = (kind.status, words)
    return {**found, **GENERAL}


def _below(base: type[Any]) -> Iterator[type[Any]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _below(kind)


def codes_of(view: APIView, method: str, places: Iterable[str], one: Op) -> dict[int, list[str]]:
    """Return the codes that an operation may answer, by status."""
    named = set(places)
    found = {*one.codes, *_of_places(named), *_of_view(view, method, one)}
    by_status: dict[int, list[str]] = {}
    for code in sorted(found):
        # Where the old name is not in the address there is none to lead to (`config.api.relocate`).
        lost = code == "moved" and not named >= {"owner", "name"}
        by_status.setdefault(404 if lost else known()[code][0], []).append(code)
    return by_status


def _of_places(places: set[str]) -> Iterator[str]:
    if {"owner", "name"} <= places:
        yield from ("moved", "taken_down")
        places = places - {"owner"}
    for place in places:
        code = PLACES[place][1]
        if code:
            yield code
    if places & NUMBERS:
        yield "not_found"
    if places:
        yield "invalid_input"


def _of_view(view: APIView, method: str, one: Op) -> Iterator[str]:
    yield from ("unavailable", "not_acceptable")
    writes = method not in READS
    if view.get_throttles():
        yield "too_many_requests"
    if view.get_authenticators():
        yield "not_authenticated"
        if writes:
            yield "suspended"
        if writes or IsAuthenticated in view.permission_classes:
            yield "not_allowed"
    if method in EDITS and isinstance(view, RestView):
        yield "precondition_failed"
    if one.body is not None or one.asked:
        yield "invalid_input"
    strict = StrictJSONParser in view.parser_classes
    if strict and (one.body is not None or one.asked):
        yield "bad_request"
    if one.body is not None:
        yield "body_too_large" if strict else "too_large"
        if one.sends == JSON:
            yield "unsupported_media_type"


def name_of(status: int, codes: Iterable[str]) -> str:
    """Return the name of the answer that has these codes."""
    return ".".join((str(status), *codes))


def answer_of(name: str) -> dict[str, Any]:
    """Return the answer with this name."""
    status, *codes = name.split(".")
    words = "\n".join(f"- `{code}`: {known()[code][1]}" for code in codes)
    error = shape(code={"type": "string", "enum": codes})
    answer: dict[str, Any] = {
        "description": words,
        "content": {
            PROBLEM if status == "451" else JSON: {
                "schema": {"allOf": [part("Problem"), shape(error=error)]}
            }
        },
    }
    if status == "451":
        link = described(TEXT, "Who blocks it (`blocked-by`), and where it says why.")
        answer["headers"] = {"Link": {"schema": link}}
    if status == "308":
        location = described(TEXT, "The address of today.")
        answer["headers"] = {"Location": {"schema": location}}
    if status in ("429", "503"):
        wait = described({"type": "integer"}, "Seconds, where waiting helps.")
        answer["headers"] = {"Retry-After": {"schema": wait}}
    return answer
