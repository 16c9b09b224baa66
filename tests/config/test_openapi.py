"""The document of the REST API: valid, complete, and the same for everybody."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from django.core.management import call_command
from django.http import HttpResponse, JsonResponse
from django.test import Client

from config.openapi.pages import document
from tests.permissions.documented import faults

JSON = "/api/v1/openapi.json"


def test_the_document_is_valid_and_was_made_without_a_warning(tmp_path: Path) -> None:
    made = tmp_path / "openapi.yaml"
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(made))
    assert yaml.safe_load(made.read_text("utf-8")) == document()


@pytest.mark.django_db
def test_a_stranger_gets_it_in_json_and_in_yaml() -> None:
    in_json, in_yaml = (Client().get(path) for path in (JSON, "/api/v1/openapi.yaml"))
    assert in_json.json() == document()
    assert in_json["Content-Type"] == "application/json"
    assert in_yaml["Content-Type"] == "application/yaml"
    assert yaml.safe_load(in_yaml.content) == document()


@pytest.mark.django_db
def test_who_has_it_already_is_told_so() -> None:
    tag = Client().get(JSON)["ETag"]
    assert Client().get(JSON, headers={"if-none-match": tag}).status_code == 304
    assert Client().get(JSON, headers={"if-none-match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    "answer",
    [
        JsonResponse({"logs": [], "more": 1}),
        JsonResponse({}),
        JsonResponse({"logs": [{"origin": "x"}]}),
        JsonResponse({"logs": []}, status=201),
        JsonResponse({"error": {"code": "conflict", "message": "", "detail": {}}}, status=429),
        HttpResponse("logs", content_type="text/plain"),
    ],
)
def test_an_answer_that_the_document_does_not_tell_of_is_found(answer: HttpResponse) -> None:
    assert faults("GET", "/api/v1/ledger/logs", answer)


def test_an_answer_that_it_does_tell_of_is_not() -> None:
    assert faults("GET", "/api/v1/ledger/logs", JsonResponse({"logs": []})) == []
