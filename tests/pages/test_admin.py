"""The stock admin over our rows: every page opens, none writes what only services write."""

from __future__ import annotations

import pytest
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from ledger.models import Entry
from registry.models import Model, Release, ReservedName
from tests import builders
from tests.pages.conftest import Site
from tests.people import Person

OURS = sorted(
    f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    for model in admin.site._registry
    if model._meta.app_label in ("ledger", "registry", "inference")
)


def cost(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200, path
    return len(queries)


def test_a_list_costs_no_more_with_more_rows(admin_client: Client, alice: Person) -> None:
    builders.publish_release(alice)
    before = {path: cost(admin_client, path) for path in OURS}
    for name in ("second", "third", "fourth"):
        revision = builders.make_revision(alice, builders.make_model(alice, name))
        builders.publish_release(alice, revision)
    assert {path: cost(admin_client, path) for path in OURS} == before


def test_an_operator_can_open_every_row_and_search_every_list(
    site: Site, admin_client: Client
) -> None:
    for model, page in admin.site._registry.items():
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        assert admin_client.get(path).status_code == 200
        if page.search_fields:
            assert admin_client.get(f"{path}?q=alice%00").status_code == 200
        row = model._default_manager.first()
        if row is not None:
            assert admin_client.get(f"{path}{row.pk}/change/").status_code == 200, path


@pytest.mark.parametrize("model", [Entry, Model, Release])
def test_an_operator_cannot_change_what_only_services_write(
    model: type[Entry | Model | Release], site: Site, admin_client: Client
) -> None:
    path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    row = model._default_manager.first()
    assert row is not None
    assert admin_client.get(f"{path}add/").status_code == 403
    assert admin_client.post(f"{path}{row.pk}/change/", {}).status_code == 403
    assert admin_client.post(f"{path}{row.pk}/delete/", {"post": "yes"}).status_code == 403


def test_an_operator_may_reserve_a_name_for_good(admin_client: Client) -> None:
    given = {"name": "acme", "reason": "a trademark"}
    assert admin_client.post("/admin/registry/reservedname/add/", given).status_code == 302
    row = ReservedName.objects.get()
    assert admin_client.post(f"/admin/registry/reservedname/{row.pk}/delete/").status_code == 403


def test_staff_sign_in_where_a_second_factor_is_asked_for(reader: Client, alice: Person) -> None:
    response = reader.get("/admin/login/?next=/admin/")
    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/")


def test_alice_is_no_staff(as_alice: Client) -> None:
    assert as_alice.get("/admin/", follow=True).status_code == 403


def test_an_operator_may_remove_a_second_factor_and_never_read_it(
    admin_client: Client, alice: Person
) -> None:
    factor = Authenticator.objects.create(
        user=alice.user, type=Authenticator.Type.TOTP, data={"secret": "SESAME"}
    )
    page = admin_client.get(f"/admin/mfa/authenticator/{factor.pk}/change/")
    assert page.status_code == 200
    assert "SESAME" not in page.content.decode()
    page = admin_client.post(f"/admin/mfa/authenticator/{factor.pk}/delete/", {"post": "yes"})
    assert page.status_code == 302
    assert not Authenticator.objects.exists()


def test_an_operator_cannot_rename_an_account_away_from_its_owner(
    admin_client: Client, alice: Person
) -> None:
    assert admin_client.get("/admin/auth/user/add/").status_code == 403
    page = admin_client.get(f"/admin/auth/user/{alice.user.pk}/change/").content.decode()
    assert 'name="username"' not in page
    assert 'name="is_active"' in page
