"""Every page, as a stranger and as alice sees it, keeps the rules of all pages."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.pages.conftest import Site
from tests.pages.html import faults, parse

MAX_QUERIES = 12
POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "font-src 'self'",
    "worker-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
}
ANYONE = (
    "/",
    "/models/",
    "/models/?q=double&sort=name",
    "/models/?q=nothing-like-this",
    "/models/{model}/",
    "/models/{model}/files/",
    "/models/{model}/graph/",
    "/models/{model}/api/",
    "/models/{model}/run/",
    "/models/{model}/executions/",
    "/models/{model}/evidence/",
    "/models/{model}/releases/",
    "/models/{model}/signers/",
    "/models/{model}/releases/1.0.0/",
    "/models/{model}/aliases/latest/",
    "/models/{model}/aliases/latest/?at=2026-01-01T00:00",
    "/models/{model}/compare/",
    "/models/{model}/compare/?from=1.0.0&to=latest",
    "/alice/",
    "/bob/",
    "/keys/{key}/",
    "/ledger/",
    "/ledger/0/",
    "/ledger/3/",
    "/ledger/search?q={key}",
    "/ledger/checkpoints/{size}/",
    "/ledger/checkpoints/",
    "/ledger/logs/",
    "/executions/",
    "/verify/",
    "/docs/",
    "/docs/evidence/",
    "/docs/inspection/",
    "/api/v1/docs/",
    "/status/",
    "/moderation/",
    "/moderation/report/",
    "/moderation/report/?kind=model&name={model}",
    "/accounts/password/reset/",
)
STRANGERS = ("/accounts/login/", "/accounts/signup/")
ALICE = (
    "/publish/",
    "/publish/{model}/",
    "/publish/{model}/alias/",
    "/publish/alice/waiting/{waiting}/",
    "/publish/alice/waiting/{waiting}/metadata/",
    "/settings/keys/",
    "/settings/keys/import/",
    "/settings/keys/member/",
    "/settings/tokens/",
    "/settings/webhooks/",
    "/settings/webhooks/?owner=alice",
    "/settings/webhooks/?model={model}",
    "/settings/organisations/",
    "/settings/activity/",
    "/settings/profile/",
    "/settings/sessions/",
    "/settings/export/",
    "/settings/account/",
    "/models/{model}/settings/",
    "/models/{model}/access/",
    "/models/{model}/activity/",
    "/schedules/",
    "/me/uploads/",
    "/me/models/",
    "/models/{model}/trusted/",
    "/models/alice/waiting/",
    "/models/alice/waiting/graph/",
    "/models/alice/secret/",
    "/accounts/email/",
    "/accounts/password/change/",
    "/accounts/2fa/",
    "/accounts/logout/",
)


def address(pattern: str, site: Site) -> str:
    return pattern.format(
        model=site.model, key=site.release.key_id, waiting=site.waiting.pk, size=7
    )


def check(client: Client, path: str) -> None:
    with CaptureQueriesContext(connection) as queries:
        response = client.get(path)
    assert response.status_code == 200, path
    assert set(response["Content-Security-Policy"].split("; ")) == POLICY
    assert response["X-Request-Id"]
    assert faults(parse(response.content.decode())) == [], path
    told = [path, *(query["sql"][:200] for query in queries.captured_queries)]
    assert len(queries) <= MAX_QUERIES, told


def test_a_stranger_can_read_every_public_page(site: Site, reader: Client) -> None:
    for pattern in (*ANYONE, *STRANGERS):
        check(reader, address(pattern, site))


def test_alice_can_read_every_page(site: Site, as_alice: Client) -> None:
    for pattern in (*ANYONE, *ALICE):
        check(as_alice, address(pattern, site))


@pytest.mark.parametrize(
    "pattern", [p for p in ALICE if p.startswith(("/publish", "/settings", "/me"))]
)
def test_a_stranger_is_asked_to_sign_in(pattern: str, site: Site, reader: Client) -> None:
    response = reader.get(address(pattern, site))
    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/?next=/")


def test_pages_work_before_the_ledger_is_open(db: None, reader: Client) -> None:
    response = reader.get("/")
    assert response.status_code == 200
    assert "The ledger has no checkpoint yet." in response.content.decode()
