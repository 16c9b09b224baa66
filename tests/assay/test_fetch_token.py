"""A token goes to the registry that was named, by https or on this machine, and nowhere else."""

from __future__ import annotations

import pytest

from assay.errors import MisuseError
from assay.fetch import DeniedError, MovedError, Session, check_secret_url, fetch
from tests.assay.auditing import Site, serving


def test_a_token_goes_along() -> None:
    with serving(Site(pages={"/a": b"1"})) as site:
        assert fetch(f"{site.url}/a", limit=9, token="secret") == b"1"
        with Session(site.url, token="secret") as session:
            assert session.get("a", limit=9) == b"1"
        assert site.tokens == {"Bearer secret"}
        site.tokens.clear()
        fetch(f"{site.url}/a", limit=9)
        assert site.tokens == {""}


def test_a_redirect_does_not_take_the_token_along() -> None:
    with serving(Site(pages={"/b": b"2"})) as other:
        moved = (302, {"Location": f"{other.url}/b"}, b"")
        with serving(Site(pages={"/a": moved})) as site:
            assert fetch(f"{site.url}/a", limit=9, token="secret") == b"2"
            assert (site.tokens, other.tokens) == ({"Bearer secret"}, {""})
            with Session(site.url) as session, pytest.raises(MovedError, match="names"):
                session.get("a", limit=9)


def test_a_token_does_not_travel_in_the_open() -> None:
    with pytest.raises(MisuseError, match="in the open"):
        fetch("http://models.example.org/a", limit=9, token="secret")
    with pytest.raises(MisuseError, match="in the open"):
        Session("http://models.example.org", token="secret")
    assert check_secret_url("https://models.example.org/") == "https://models.example.org/"


@pytest.mark.parametrize("status", [401, 403, 451])
def test_what_is_not_for_this_reader_is_told_apart_from_silence(status: int) -> None:
    with (
        serving(Site(pages={"/a": (status, {}, b"")})) as site,
        Session(site.url) as session,
        pytest.raises(DeniedError, match=str(status)),
    ):
        session.get("a", limit=9)
