"""Pages of aliases, of withdrawn releases and of comparisons, as people read them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from registry.models import Alias, AliasMove, Release
from registry.services import releases
from tests import builders
from tests.builders import CARD, ONNX
from tests.ledger.builders import sequence
from tests.pages.conftest import Site
from tests.pages.html import faults, parse
from tests.people import Person

MODEL = "/models/alice/double/"
MAX_QUERIES = 12


@pytest.fixture
def second(site: Site) -> Release:
    """Release 2.0.0 with another card and an invisible character in it, and name 1.0.0."""
    builders.move_alias(site.alice, site.release)
    card = CARD.replace(b"mit", b"apache-2.0") + "\nRead \u202eme <b>here</b>.\n".encode()
    files = {"model.onnx": ONNX, "README.md": card}
    revision = builders.make_revision(site.alice, site.release.model, files)
    made = builders.publish_release(site.alice, revision, version="2.0.0")
    sequence()
    return made


def queries(client: Client, path: str) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    return [query["sql"][:150] for query in captured.captured_queries]


def read(client: Client, path: str, status: int = 200) -> str:
    response = client.get(path)
    assert response.status_code == status, path
    body = response.content.decode()
    assert faults(parse(body)) == [], path
    return body


def test_the_pages_ask_the_database_little(site: Site, second: Release, reader: Client) -> None:
    for path in ("aliases/production/", "releases/", "compare/?from=production&to=latest"):
        asked = queries(reader, f"{MODEL}{path}")
        assert len(asked) <= MAX_QUERIES, (path, asked)
    first, later = (queries(reader, f"{MODEL}releases/{v}/") for v in ("1.0.0", "2.0.0"))
    assert len(later) <= len(first) + 2, later  # the release before, and its files


def test_a_reader_sees_what_an_alias_means_and_every_move(
    site: Site, second: Release, reader: Client
) -> None:
    builders.move_alias(site.alice, second)
    page = read(reader, f"{MODEL}aliases/production/")
    assert "waiting for a checkpoint" in page
    sequence()
    page = read(reader, f"{MODEL}aliases/Production/")
    assert "It means version" in page
    assert page.count("alias.sigstore.json") >= 3
    assert "server says: move 2 signed by key" in page
    for move in AliasMove.objects.select_related("entry"):
        assert f"/ledger/{move.entry.index}/" in page
    assert "Move it" not in page
    assert "Protection" not in page
    listed = read(reader, f"{MODEL}releases/")
    assert f'href="{MODEL}aliases/production/"' in listed
    assert f'href="{MODEL}aliases/latest/"' in listed


def test_a_reader_asks_what_production_meant(site: Site, second: Release, reader: Client) -> None:
    builders.move_alias(site.alice, second)
    sequence()
    first, later = AliasMove.objects.order_by("number")
    page = f"{MODEL}aliases/production/"
    field = (first.created_at + timedelta(milliseconds=1)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    assert "by move 1" in read(reader, f"{page}?at={field}")
    exact = later.created_at.isoformat().replace("+", "%2B")
    assert "by move 2" in read(reader, f"{page}?at={exact}")
    assert "it meant nothing yet" in read(reader, f"{page}?at=2020-01-01T00:00")
    assert "a time in RFC 3339" in read(reader, f"{page}?at=yesterday")
    coming = read(reader, f"{page}?at=2126-01-01T00:00:00.999Z")
    assert "still to come" in coming
    assert 'value="2126-01-01T00:00:00"' in coming, "a browser's field takes no other spelling"


def test_the_moves_are_paged(
    site: Site, second: Release, reader: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.moves.PAGE", 1)
    builders.move_alias(site.alice, second)
    sequence()
    page = read(reader, f"{MODEL}aliases/production/")
    assert "?before=2" in page
    older = read(reader, f"{MODEL}aliases/production/?before=2")
    assert "Newest" in older
    assert "It means version" in older
    assert read(reader, f"{MODEL}aliases/production/?before=x")


def test_an_unknown_alias_is_not_found(site: Site, second: Release, reader: Client) -> None:
    assert reader.get(f"{MODEL}aliases/staging/").status_code == 404
    bundle = f"{MODEL}aliases/production/9/alias.sigstore.json"
    assert reader.get(bundle).status_code == 404


def test_latest_without_a_standing_release_means_nothing(
    site: Site, second: Release, reader: Client
) -> None:
    for version in ("1.0.0", "2.0.0"):
        releases.yank(site.alice.user, second.model, version, reason="wrong weights")
    assert "It means nothing now" in read(reader, f"{MODEL}aliases/latest/")


def test_the_address_of_an_alias_leads_to_its_version(
    site: Site, second: Release, reader: Client
) -> None:
    for name, version in (
        ("production", "1.0.0"),
        ("latest", "2.0.0"),
        (second.revision_id, "2.0.0"),
    ):
        answer = reader.get(f"{MODEL}releases/{name}/")
        assert (answer.status_code, answer["Location"]) == (302, f"{MODEL}releases/{version}/")
    signature = reader.get(f"{MODEL}releases/production/model.sig")
    assert signature.status_code == 200
    assert reader.get(f"{MODEL}releases/staging/").status_code == 404


def test_a_release_shows_its_aliases_notes_and_what_changed(
    site: Site, second: Release, reader: Client
) -> None:
    first = read(reader, f"{MODEL}releases/1.0.0/")
    assert f'href="{MODEL}aliases/production/"' in first
    assert "Since " not in first
    page = read(reader, f"{MODEL}releases/2.0.0/")
    assert "Since 1.0.0" in page
    assert "apache-2.0" in page
    assert "Withdraw this version" not in page


def test_two_versions_are_compared_line_by_line(
    site: Site, second: Release, reader: Client
) -> None:
    page = read(reader, f"{MODEL}compare/?from=production&to=latest")
    assert "-license: mit" in page
    assert "+license: apache-2.0" in page
    assert "\\u202e" in page
    assert "\u202e" not in page
    assert "&lt;b&gt;here&lt;/b&gt;" in page
    assert read(reader, f"{MODEL}compare/") == page.replace(
        'value="production"', 'value="1.0.0"'
    ).replace('value="latest"', 'value="2.0.0"')
    wrong = read(reader, f"{MODEL}compare/?from=1.0.0&to=9.9", status=404)
    assert "no release" in wrong
    assert "Say " in read(reader, f"{MODEL}compare/?from=1.0.0", status=400)


def test_a_long_list_of_changed_files_is_cut(
    site: Site, reader: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.views.differences.MAX_SHOWN", 2)
    files = {f"{n}.txt": b"text\n" for n in range(5)} | {"model.onnx": ONNX, "README.md": CARD}
    revision = builders.make_revision(site.alice, site.release.model, files)
    page = read(reader, f"{MODEL}compare/?from=1.0.0&to={revision.pk}")
    assert "3 more changed" in page
    assert "an unsigned revision" in page


def test_a_withdrawn_release_says_so_and_helps_nobody_to_install_it(
    site: Site, second: Release, reader: Client
) -> None:
    before = read(reader, f"{MODEL}files/?revision={site.release.revision_id}")
    assert "Download with curl" in before
    releases.yank(site.alice.user, second.model, "1.0.0", reason="wrong weights")
    page = read(reader, f"{MODEL}releases/1.0.0/")
    assert "Withdrawn on" in page
    assert "wrong weights" in page
    assert "curl" not in page
    assert "Run it" not in page
    files = read(reader, f"{MODEL}files/?revision={site.release.revision_id}")
    assert "wrong weights" in files
    assert "Download with curl" not in files
    assert "sha256sum -c" in files
    alias = read(reader, f"{MODEL}aliases/production/")
    assert "1.0.0 was withdrawn" in alias
    assert "until its publisher signs a move" in alias
    listed = read(reader, f"{MODEL}releases/")
    assert "Withdrawn: wrong weights" in listed


def test_a_model_whose_every_release_was_withdrawn_says_so(site: Site, reader: Client) -> None:
    releases.yank(site.alice.user, site.release.model, "1.0.0", reason="wrong weights")
    page = read(reader, MODEL)
    assert "Every version was withdrawn" in page
    assert "wrong weights" in page
    assert "Nobody has signed it" not in page


# ------------------------------------------------------------------ alice at work


def test_alice_withdraws_a_release_on_its_page(
    site: Site, second: Release, as_alice: Client
) -> None:
    page = read(as_alice, f"{MODEL}releases/2.0.0/")
    assert "Withdraw this version" in page
    address = f"{MODEL}releases/2.0.0/withdraw/"
    empty = as_alice.post(address, {"reason": " "}, follow=True)
    assert "A reason has 1 to 500 characters." in empty.content.decode()
    done = as_alice.post(address, {"reason": "wrong weights"}, follow=True).content.decode()
    assert "2.0.0 is withdrawn." in done
    assert "Withdraw this version" not in done
    again = as_alice.post(address, {"reason": "more"}, follow=True).content.decode()
    assert "This release was withdrawn before." in again
    assert as_alice.get(address).status_code == 405


def test_mallory_withdraws_and_protects_nothing(
    site: Site, second: Release, as_bob: Client, reader: Client
) -> None:
    for address, data in (
        (f"{MODEL}releases/2.0.0/withdraw/", {"reason": "mine now"}),
        (f"{MODEL}aliases/production/protect/", {"protected": "1"}),
    ):
        assert as_bob.post(address, data).status_code == 403
        assert reader.post(address, data)["Location"].startswith("/accounts/login/")
    second.refresh_from_db()
    assert second.yanked_at is None
    assert not Alias.objects.get().protected
    assert as_bob.get("/publish/alice/double/alias/").status_code == 403


def test_alice_protects_an_alias_on_its_page(site: Site, second: Release, as_alice: Client) -> None:
    page = read(as_alice, f"{MODEL}aliases/production/")
    assert "Move it" in page
    address = f"{MODEL}aliases/production/protect/"
    done = as_alice.post(address, {"protected": "1"}, follow=True).content.decode()
    assert "production is protected now." in done
    assert Alias.objects.get().protected
    done = as_alice.post(address, {"protected": "0"}, follow=True).content.decode()
    assert "production is no longer protected." in done


def test_alice_finds_the_form_filled_in(site: Site, second: Release, as_alice: Client) -> None:
    page = read(as_alice, "/publish/alice/double/alias/?alias=production&version=1.0.0")
    assert 'value="production"' in page
    assert "1.0.0 (it stands here)" in page
    fresh = read(as_alice, "/publish/alice/double/alias/")
    assert '<option value="production">' in fresh


def test_without_a_release_there_is_nothing_to_name(alice: Person, as_alice: Client) -> None:
    builders.make_model(alice, "empty")
    assert "No release to name" in read(as_alice, "/publish/alice/empty/alias/")
