"""The REST API can do what the pages can; every operation says what it does; every code is met."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.views import APIView

from config.api import FAULT
from inference.ids import uuid7
from inference.urls import urlpatterns as inference_pages
from ledger.errors import PayloadMissingError
from ledger.services.staging import find_payload
from registry.urls import urlpatterns as registry_pages
from tests.people import Person
from tests.registry.calls import API, error
from tests.test_docs import APPS, ROOT, error_codes, page

METHODS = ("get", "post", "put", "patch", "delete")
_MODEL = "models/{owner}/{name}"
# What a program gets where a reader looks at a page that is made of words only.
WORDS = "words for readers"
# The address of the bytes themselves, which programs use as it stands.
BYTES = "bytes for everybody"
# What no token may do: it asks for a person, who signs in or says the password again.
PERSON = "for a person alone"
# Page -> what of the API (below /api/v1/) does the same.
SAME: dict[str, tuple[str, ...] | str] = {
    "search/": ("get models", "get ledger/entries"),
    "verify/": WORDS,
    "docs/": WORDS,
    "docs/evidence/": WORDS,
    "docs/inspection/": WORDS,
    "models/": ("get models",),
    "keys/{fingerprint}/": ("get keys/{fingerprint}",),
    "keys/{fingerprint}/rename/": ("patch keys/{fingerprint}",),
    "keys/{fingerprint}/key.pem": BYTES,
    f"{_MODEL}/": (f"get {_MODEL}", f"get {_MODEL}/card", f"get {_MODEL}/lineage"),
    f"{_MODEL}/files/": (f"get {_MODEL}/revisions/{{revision}}",),
    f"{_MODEL}/files/{{revision}}/{{path}}": BYTES,
    f"{_MODEL}/graph/": (f"get {_MODEL}/revisions/{{revision}}/inspection",),
    f"{_MODEL}/graph/skeleton.json": BYTES,
    f"{_MODEL}/api/": WORDS,
    f"{_MODEL}/releases/": (f"get {_MODEL}/releases",),
    f"{_MODEL}/releases/{{version}}/": (f"get {_MODEL}/releases/{{version}}",),
    **{
        f"{_MODEL}/releases/{{version}}/{name}": (
            f"get {_MODEL}/releases/{{version}}/exports/{{export}}",
        )
        for name in ("bom.cdx.json", "ai.spdx.json", "CITATION.cff", "citation.bib")
    },
    f"{_MODEL}/releases/{{version}}/{{bundle}}": BYTES,
    f"{_MODEL}/releases/{{version}}/withdraw/": (f"post {_MODEL}/releases/{{version}}/yank",),
    f"{_MODEL}/settings/": (f"get {_MODEL}/visibility", f"get {_MODEL}/transfers"),
    f"{_MODEL}/settings/visibility/": (f"put {_MODEL}/visibility",),
    f"{_MODEL}/settings/transfer/": (f"post {_MODEL}/transfers",),
    f"{_MODEL}/settings/delete/": (f"delete {_MODEL}",),
    f"{_MODEL}/activity/": ("get activity",),
    f"{_MODEL}/access/": (
        f"get {_MODEL}/access",
        f"get {_MODEL}/access/mine",
        f"put {_MODEL}/access/mine",
    ),
    f"{_MODEL}/access/withdraw/": (f"delete {_MODEL}/access/mine",),
    f"{_MODEL}/access/{{person}}/": (f"put {_MODEL}/access/requests/{{person}}",),
    f"{_MODEL}/compare/": (f"get {_MODEL}/differences",),
    f"{_MODEL}/aliases/{{alias}}/": (
        f"get {_MODEL}/aliases/{{alias}}",
        f"get {_MODEL}/aliases/{{alias}}/moves",
    ),
    f"{_MODEL}/aliases/{{alias}}/protect/": (f"put {_MODEL}/aliases/{{alias}}/protection",),
    f"{_MODEL}/aliases/{{alias}}/{{number}}/alias.sigstore.json": BYTES,
    f"{_MODEL}/signers/": (f"get {_MODEL}/signers",),
    f"{_MODEL}/trusted/": (f"get {_MODEL}/trusted", f"post {_MODEL}/trusted"),
    f"{_MODEL}/trusted/{{publisher_id}}/remove/": (f"delete {_MODEL}/trusted/{{publisher_id}}",),
    "publish/": ("post models", "get models"),
    "publish/preview/": ("post cards/check",),
    "publish/{owner}/{name}/": (
        *("post uploads", "put uploads/{upload_id}/parts/{number}"),
        *("post uploads/{upload_id}/complete", f"post {_MODEL}/revisions"),
        f"get {_MODEL}/revisions",
    ),
    "publish/{owner}/{name}/alias/": (
        f"get {_MODEL}/aliases/{{alias}}/signing",
        f"post {_MODEL}/aliases/{{alias}}/moves",
    ),
    "publish/{owner}/{name}/{revision}/": (
        f"get {_MODEL}/revisions/{{revision}}",
        f"get {_MODEL}/card",
    ),
    "publish/{owner}/{name}/{revision}/inspection/": (
        f"get {_MODEL}/revisions/{{revision}}/inspection",
    ),
    "publish/{owner}/{name}/{revision}/appeal/": (
        f"get {_MODEL}/revisions/{{revision}}/appeal",
        f"post {_MODEL}/revisions/{{revision}}/appeal",
    ),
    "publish/{owner}/{name}/{revision}/card/": (f"patch {_MODEL}/card",),
    "publish/{owner}/{name}/{revision}/metadata/": (f"patch {_MODEL}/card",),
    "publish/{owner}/{name}/{revision}/sign/": (
        f"get {_MODEL}/revisions/{{revision}}/signing",
        f"post {_MODEL}/releases",
    ),
    "settings/keys/": (
        *("get keys", "post keys", "post keys/{fingerprint}/rotation"),
        *("post keys/{fingerprint}/revocation", "put keys/{fingerprint}/backup"),
    ),
    "settings/keys/import/": ("post keys",),
    "settings/keys/member/": ("post keys",),
    "settings/tokens/": ("get tokens", "post tokens"),
    "settings/tokens/{digest}/delete/": ("delete tokens/{digest}",),
    "settings/": WORDS,
    "settings/profile/": ("get account",),
    "settings/sessions/": PERSON,
    "settings/sessions/end/": PERSON,
    "settings/sessions/{handle}/end/": PERSON,
    "settings/export/": PERSON,
    "settings/account/keep/": PERSON,
    "moderation/": ("get moderation",),
    "moderation/report/": PERSON,
    "moderation/{number}/": ("get moderation/{action_number}",),
    "moderation/{number}/appeal/": PERSON,
    "moderation/{number}/moderation.sigstore.json": ("get moderation/{action_number}/bundle",),
    "settings/activity/": ("get activity",),
    "settings/account/": ("get account", "delete account"),
    "settings/organisations/": (
        *("get organisations", "post organisations", "get invitations", "get transfers"),
    ),
    "settings/organisations/{owner}/{answer}/": (
        *("post owners/{owner}/invitation", "delete owners/{owner}/invitation"),
    ),
    "settings/transfers/{transfer_id}/{answer}/": (
        *("post transfers/{transfer_id}/accept", "post transfers/{transfer_id}/decline"),
        "post transfers/{transfer_id}/cancel",
    ),
    "orgs/{owner}/": ("get owners/{owner}", "get owners/{owner}/members"),
    "orgs/{owner}/title/": ("patch owners/{owner}",),
    "orgs/{owner}/delete/": ("delete owners/{owner}",),
    "orgs/{owner}/members/": ("post owners/{owner}/members",),
    "orgs/{owner}/members/{member}/": (
        *("patch owners/{owner}/members/{member}", "delete owners/{owner}/members/{member}"),
    ),
    "me/uploads/": ("get uploads", "get owners/{owner}/usage"),
    "me/uploads/{upload_id}/discard/": ("delete uploads/{upload_id}",),
    "me/models/": ("get models",),
    "{owner}/": ("get owners/{owner}", "get models", "get keys"),
    "{owner}/{name}/": (f"get {_MODEL}",),
    # of executions
    "executions/": ("get executions",),
    "executions/{execution}/": ("get executions/{execution}", "get executions/{execution}/traces"),
    "executions/{execution}/replay/": ("post executions/{execution}/replay",),
    "executions/{execution}/receipt": BYTES,
    "executions/{execution}/statement": BYTES,
    "executions/{execution}/output.tensors": BYTES,
    "executions/{execution}/input.tensors": BYTES,
    "executions/{execution}/trace": ("post executions/{execution}/trace",),
    f"{_MODEL}/run/": ("post executions",),
    f"{_MODEL}/run/{{version}}/infer": ("post executions",),
    f"{_MODEL}/executions/": ("get executions",),
    f"{_MODEL}/evidence/": ("get executions", "get executions/{execution}/replays"),
    "schedules/": ("get schedules",),
    "schedules/{schedule}/": ("get schedules/{schedule}", "get schedules/{schedule}/executions"),
    "schedules/{schedule}/{action}/": (
        *("post schedules/{schedule}/pause", "post schedules/{schedule}/resume"),
        "delete schedules/{schedule}",
    ),
    "settings/webhooks/": ("get webhooks", "post webhooks"),
    "settings/webhooks/{webhook}/": ("get webhooks/{webhook}", "get webhooks/{webhook}/deliveries"),
    "settings/webhooks/{webhook}/test/": ("post webhooks/{webhook}/test",),
    "settings/webhooks/{webhook}/delete/": ("delete webhooks/{webhook}",),
    "settings/webhooks/{webhook}/{delivery}/": (
        "post webhooks/{webhook}/deliveries/{delivery_id}/redeliver",
    ),
}


def plain(route: str) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route)


def operations() -> Iterator[tuple[str, type[APIView], str]]:
    """Yield method, view and address below /api/v1/ of every operation of the API."""

    def walk(patterns: list[Any], prefix: str) -> Iterator[tuple[str, type[APIView], str]]:
        for item in patterns:
            route = prefix + str(item.pattern)
            if isinstance(item, URLResolver):
                yield from walk(item.url_patterns, route)
            elif isinstance(item, URLPattern):
                view = item.callback.view_class  # type: ignore[attr-defined]  # all views are classes
                for method in METHODS:
                    if hasattr(view, method):
                        yield method, view, plain(route)

    yield from walk(get_resolver("config.urls_api").url_patterns, "")


OPERATIONS = list(operations())


@pytest.mark.parametrize(
    "route", [plain(str(item.pattern)) for item in (*registry_pages, *inference_pages)]
)
def test_what_a_page_does_a_program_can_do(route: str) -> None:
    assert route in SAME, "a new page: what of the API does the same?"
    same = SAME[route]
    offered = {f"{method} {address}" for method, _, address in OPERATIONS}
    assert isinstance(same, str) or set(same) <= offered, set(same) - offered


@pytest.mark.parametrize(
    ("method", "view", "route"),
    OPERATIONS,
    ids=lambda value: str(getattr(value, "__name__", value)),
)
def test_every_operation_says_what_it_does(method: str, view: type[APIView], route: str) -> None:
    own = getattr(view, method).__doc__ or view.__doc__ or ""
    assert own.strip().endswith("."), f"{method} {route} has no description"


@lru_cache
def sources() -> str:
    return "\n".join(
        path.read_text("utf-8")
        for path in (ROOT / "tests").rglob("*.py")
        if "permissions" not in path.parts
    )


@lru_cache
def classes() -> dict[str, list[str]]:
    """Return, by code, the names of the errors that carry it, and of those made from them."""
    found: dict[str, list[str]] = {}
    form = re.compile(
        r"^class (\w+Error)\(\w+\):(?:(?!^class ).)*?^    code = \"([a-z_]+)\"$",
        re.MULTILINE | re.DOTALL,
    )
    for app in APPS:
        for path in (ROOT / app).rglob("*.py"):
            for name, code in form.findall(path.read_text("utf-8")):
                found.setdefault(code, []).append(name)
    return found


GENERAL = {"registry_error", "inference_error", "ledger_error", "moderated"}


@pytest.mark.parametrize("code", sorted(set(error_codes()) - GENERAL))
def test_every_code_is_met_by_a_test(code: str) -> None:
    text = sources()
    names = classes().get(code, [])
    assert f'"{code}"' in text or any(re.search(rf"\b{name}\b", text) for name in names)


def test_a_form_that_is_not_spoken_here_is_refused(alice: Person) -> None:
    api = alice.api()
    asked = api.get(f"{API}/models", headers={"Accept": "text/csv"})
    assert error(asked) == (406, "not_acceptable")
    sent = api.post(f"{API}/models", "name,double", content_type="text/csv")
    assert error(sent) == (415, "unsupported_media_type")


def test_mallory_finds_no_schedule_of_alices(mallory: Person) -> None:
    answer = mallory.api().get(f"{API}/schedules/{uuid7()}")
    assert error(answer) == (404, "unknown_schedule")


def test_a_statement_that_nobody_handed_in_is_missing(db: None) -> None:
    with pytest.raises(PayloadMissingError, match="Hand the statement in first"):
        find_payload(bytes(32))


def drf_codes() -> list[str]:
    text = (ROOT / "config/api.py").read_text("utf-8")
    return sorted({FAULT.code, *re.findall(r'(?:\d{3}: |code=)"([a-z_]+)"', text)} - {"error"})


@pytest.mark.parametrize("code", drf_codes())
def test_every_code_of_the_framework_is_documented_and_met(code: str) -> None:
    assert f"`{code}`" in page("errors.md")
    assert f'"{code}"' in sources()
