"""Errors say what happened, what is safe, what to do, and name the request."""

from __future__ import annotations

import pytest
from django.core.exceptions import RequestDataTooBig
from django.db import OperationalError
from django.test import Client, RequestFactory
from pytest_django import Settings

from config import error_pages
from config.api import describe
from registry.errors import ConflictError
from tests.pages.conftest import ACCEPT
from tests.pages.html import faults, parse

FORM = "application/x-www-form-urlencoded"


def test_a_missing_page_offers_a_search(db: None, reader: Client) -> None:
    response = reader.get("/no/such/page/", headers={"x-request-id": "abc-123"})
    text = response.content.decode()
    assert response.status_code == 404
    assert response["Content-Security-Policy"]
    assert faults(parse(text)) == []
    for words in ("What is safe.", "What to do.", "abc-123", "/search/"):
        assert words in text


def test_a_program_gets_json(db: None) -> None:
    response = Client().get("/no/such/page/", headers={"accept": "*/*"})
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"
    assert Client().get("/api/v1/no-such", headers={"accept": ACCEPT}).json()["error"]


def test_a_form_without_its_token_is_told(db: None) -> None:
    client = Client(enforce_csrf_checks=True, headers={"accept": ACCEPT})
    response = client.post("/accounts/login/", {"login": "alice"})
    assert response.status_code == 403
    assert "This form has expired" in response.content.decode()
    assert faults(parse(response.content.decode())) == []


def test_a_fault_of_ours_needs_no_database() -> None:
    request = RequestFactory().get("/", headers={"accept": ACCEPT})
    request.META["assay.request_id"] = "abc-123"
    for response, status in (
        (error_pages.server_error(request), 500),
        (_middleware().process_exception(request, OperationalError("gone")), 503),
    ):
        assert response is not None
        assert response.status_code == status
        assert faults(parse(response.content.decode())) == []
        assert "abc-123" in response.content.decode()


def test_a_fault_of_ours_is_json_for_programs() -> None:
    request = RequestFactory().get("/", headers={"accept": "*/*"})
    assert b'"internal"' in error_pages.server_error(request).content


@pytest.mark.parametrize("accept", [ACCEPT, "*/*"])
def test_a_domain_error_keeps_its_status_and_code(accept: str, db: None) -> None:
    request = RequestFactory().get("/models/", headers={"accept": accept})
    request.META["assay.request_id"] = "abc-123"
    error = ConflictError("It has moved on.", head="f" * 40)
    response = _middleware().process_exception(request, error)
    assert response is not None
    assert response.status_code == 409
    for words in (b"conflict", b"It has moved on.", b"f" * 40):
        assert words in response.content


def test_any_other_error_is_left_to_django() -> None:
    request = RequestFactory().get("/")
    assert _middleware().process_exception(request, KeyError("x")) is None


def _middleware() -> error_pages.ErrorPagesMiddleware:
    return error_pages.ErrorPagesMiddleware(error_pages.server_error)


@pytest.mark.parametrize(
    "path", ["/%00/", "/models/?q=%00", "/models/?sort=name&cursor=AAAA", "/sha256/%00", "/x/%00/"]
)
def test_mallory_gets_no_fault_out_of_a_nul(path: str, db: None, reader: Client) -> None:
    assert reader.get(path).status_code in (200, 400, 404)


def test_a_form_that_expired_gives_back_what_was_typed_and_no_password(db: None) -> None:
    client = Client(enforce_csrf_checks=True, headers={"accept": ACCEPT})
    typed = {"card": "an hour of <work>", "password": "hunter2hunter2"}
    text = client.post("/publish/a/b/c/card/", typed).content.decode()
    assert "an hour of &lt;work&gt;" in text
    assert "hunter2" not in text
    assert faults(parse(text)) == []


def test_a_program_without_a_csrf_token_gets_json(db: None) -> None:
    client = Client(enforce_csrf_checks=True, headers={"accept": "*/*"})
    assert client.post("/publish/").json()["error"]["code"] == "not_allowed"


@pytest.mark.parametrize("path", ["/log/checkpoint", "/.well-known/assay/log.vkey", "/readyz"])
def test_a_database_that_is_away_is_503_and_json_for_programs(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError("connection refused at /secret/socket")

    monkeypatch.setattr("django.db.models.query.QuerySet._fetch_all", away)
    monkeypatch.setattr("django.db.connection.cursor", away)
    monkeypatch.setattr("ledger.views.log.storage_at", away)
    response = Client().get(path, headers={"accept": ACCEPT})
    assert (response.status_code, response["Content-Type"]) == (503, "application/json")
    assert response["Cache-Control"] == "no-store"
    assert b"secret" not in response.content


def test_a_fault_on_a_plain_path_is_json_whatever_is_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("/secret/path")

    monkeypatch.setattr("ledger.views.log.storage_at", broken)
    client = Client(raise_request_exception=False)
    response = client.get("/log/checkpoint", headers={"accept": ACCEPT})
    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal")


def test_only_whole_words_are_addresses_of_programs(db: None, reader: Client) -> None:
    """An owner may be called v2ray, and a browser that looks for them gets a page."""
    for path in ("/v2ray/", "/healthzone/", "/readyzen/"):
        response = reader.get(path)
        assert (response.status_code, response["Content-Type"]) == (404, "text/html; charset=utf-8")
    for path in ("/v2/none", "/healthz/", "/log/none"):
        response = reader.get(path)
        assert (response.status_code, "html" in response["Content-Type"]) == (404, False)
        assert response["Cache-Control"] == "no-store"


@pytest.mark.parametrize("accept", [ACCEPT, "*/*"])
def test_a_body_that_is_too_long_is_413_and_not_a_riddle(
    accept: str, db: None, settings: Settings
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    client = Client(headers={"accept": accept})
    response = client.post("/accounts/login/", "x" * 99, content_type=FORM)
    assert response.status_code == 413
    problem = describe(RequestDataTooBig("too long"))
    assert problem is not None
    assert (problem.status, problem.code) == (413, "body_too_large")
