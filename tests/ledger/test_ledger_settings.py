"""The settings of the log are checked before anything starts with them."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from ledger.checks import check_ledger


def codes() -> list[str]:
    return [str(message.id) for message in check_ledger(None)]


def test_the_settings_of_this_machine_are_sound() -> None:
    assert codes() == []


def test_an_origin_is_a_bare_host_name(settings: Settings) -> None:
    settings.LEDGER_ORIGIN = "https://localhost"
    assert codes() == ["ledger.E001"]


def test_an_address_on_another_host_is_refused(settings: Settings) -> None:
    settings.LEDGER_URL = "https://example.org/log"
    assert codes() == ["ledger.E002"]


@pytest.mark.parametrize(
    "url",
    ["localhost/log", "ftp://localhost/log", "http://localhost/log?x", "http://LOCALHOST/log"],
)
def test_an_address_that_no_trusted_root_can_hold_is_refused(settings: Settings, url: str) -> None:
    settings.LEDGER_URL = url
    assert codes() == ["ledger.E002"]


def test_a_log_under_a_name_that_the_site_does_not_answer_to_is_a_warning(
    settings: Settings,
) -> None:
    settings.LEDGER_ORIGIN, settings.LEDGER_URL = "log.example.org", "https://log.example.org/log"
    settings.ALLOWED_HOSTS = ["models.example.org"]
    assert codes() == ["ledger.W001"]
    settings.ALLOWED_HOSTS = [".example.org"]
    assert codes() == []


@pytest.mark.parametrize("location", ["s3:/bucket", "/srv/log", "s3://bucket/../other"])
def test_a_storage_that_is_none_is_refused(settings: Settings, location: str) -> None:
    settings.LEDGER_STORAGE = location
    assert codes() == ["ledger.E003"]


@pytest.mark.parametrize(
    ("endpoint", "found"),
    [
        ("", []),
        ("https://s3.example.org", []),
        ("http://127.0.0.1:9000/", []),
        ("s3.example.org", ["ledger.E004"]),
        ("http://two words", ["ledger.E004"]),
        ("ftp://s3.example.org", ["ledger.E004"]),
    ],
)
def test_an_endpoint_is_an_address(settings: Settings, endpoint: str, found: list[str]) -> None:
    settings.LEDGER_STORAGE = "s3://bucket/assay"
    settings.LEDGER_S3_ENDPOINT = endpoint
    assert codes() == found


def test_an_endpoint_without_a_bucket_is_nobodys_business(settings: Settings) -> None:
    settings.LEDGER_S3_ENDPOINT = "s3.example.org"
    assert codes() == []
