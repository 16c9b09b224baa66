"""Errors say what happened, what is safe, what to do, and name the request."""

from __future__ import annotations

import pytest
from django.db import OperationalError
from django.test import Client, RequestFactory

from config import error_pages
from registry.errors import ConflictError
from tests.pages.conftest import ACCEPT
from tests.pages.html import faults, parse


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
