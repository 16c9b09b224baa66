"""Pages go out compressed; what has a digest, and what programs read, does not."""

from __future__ import annotations

import gzip

import pytest
from django.test import Client

from tests.pages.conftest import Site
from tests.pages.html import faults, parse


def test_a_page_is_compressed_for_who_takes_that(site: Site, reader: Client) -> None:
    answer = reader.get("/ledger/", headers={"accept-encoding": "br, gzip"})
    assert answer["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in answer["Vary"]
    assert faults(parse(gzip.decompress(answer.content).decode())) == []
    assert len(answer.content) < len(reader.get("/ledger/").content) / 2
    assert "Content-Encoding" not in reader.get("/ledger/").headers


def test_two_answers_are_not_equally_long(site: Site, reader: Client) -> None:
    asked = {"accept-encoding": "gzip"}
    lengths = {len(reader.get("/docs/", headers=asked).content) for _ in range(12)}
    assert len(lengths) > 1  # mallory counts bytes to guess a secret beside words of hers


@pytest.mark.parametrize(
    "path",
    [
        "/models/{model}/files/{revision}/model.onnx",
        "/ledger/0/bundle",
        "/api/v1/ledger/entries",
        "/log/checkpoint",
    ],
)
def test_what_is_no_page_leaves_as_it_is(path: str, site: Site, reader: Client) -> None:
    place = path.format(model=site.model, revision=site.release.revision_id)
    answer = reader.get(place, headers={"accept-encoding": "gzip"})
    assert answer.status_code == 200
    assert "Content-Encoding" not in answer.headers
    if answer.streaming:
        assert answer.getvalue()
