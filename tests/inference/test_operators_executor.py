"""An executor that answers: on `/readyz`, for the doctor, on the operators' page."""

from __future__ import annotations

from django.test import Client
from pytest_django import Settings

from config import probes
from config.doctor import Level, programs
from inference import runtimes
from tests.inference.conftest import Site
from tests.pages.html import faults, parse


def test_an_executor_says_how_many_places_are_free(site: Site) -> None:
    assert probes.executor().works
    assert probes.executor().words.endswith(" free")
    told = Client().get("/readyz").json()
    assert told["parts"]["executor"]["works"] is True


def test_the_doctor_compares_its_runtime_with_the_sites(site: Site, settings: Settings) -> None:
    found = list(programs.check_executor())
    assert [one.level for one in found if one.level == Level.FAULT] == []
    assert found[0].level == Level.GOOD
    digest = runtimes.current().runtime.digest
    other = probes.executor_status()
    assert other is not None
    assert digest in {one["digest"]["sha256"] for one in other.runtimes}


def test_its_page_names_key_runtime_and_jail(site: Site, admin_client: Client) -> None:
    text = admin_client.get("/admin/state/queue/").content.decode()
    assert faults(parse(text)) == []
    assert runtimes.current().runtime.digest in text
    assert site.executor_key in text
