"""What an evidence panel hands to the check in the reader's browser."""

from __future__ import annotations

from django.test import Client

from inference.choices import ExecutionState
from tests.pages.conftest import Site
from tests.pages.html import parse
from tests.pages.test_downloads import body
from tests.pages.test_executions import execution, succeeded


def panel(reader: Client, path: str) -> dict[str, str]:
    """Return the attributes of the one panel of a page."""
    page = parse(reader.get(path).content.decode())
    (found,) = [tag.attributes for tag in page.tags if "data-panel" in tag.attributes]
    buttons = [tag for tag in page.tags if "data-check" in tag.attributes]
    assert len(buttons) == ("data-bundle" in found)
    return {name[5:]: value for name, value in found.items() if name.startswith("data-")}


def test_the_panel_of_an_execution_names_its_receipt_and_its_tensors(
    site: Site, reader: Client
) -> None:
    row = succeeded(site)
    place = f"/executions/{row.pk}"
    assert panel(reader, f"{place}/") == {
        "panel": "",
        "type": "urn:assay:execution:v1",
        "bundle": f"{place}/receipt",
        "output": f"{place}/output.tensors",
        "input": f"{place}/input.tensors",
    }


def test_the_panel_of_a_release_names_its_card_and_its_manifest(site: Site, reader: Client) -> None:
    release = site.release
    base = f"/models/{site.model}"
    for path in (f"{base}/", f"{base}/releases/{release.version}/"):
        found = panel(reader, path)
        assert found["bundle"] == f"{base}/releases/{release.version}/release.sigstore.json"
        assert found["card-bundle"] == f"{base}/releases/{release.version}/card.sigstore.json"
        assert found["file"] == f"{base}/files/{release.revision_id}/README.md"
        assert found["manifest"] == release.revision.manifest
        for name in ("bundle", "card-bundle", "file"):
            answer = reader.get(found[name])
            assert (answer.status_code, len(body(answer)) > 0) == (200, True)


def test_the_panel_of_an_entry_compares_the_statement_on_its_page(
    site: Site, reader: Client
) -> None:
    found = panel(reader, "/ledger/0/")
    assert found["bundle"] == "/ledger/0/bundle"
    assert "type" not in found
    text = reader.get("/ledger/0/").content.decode()
    assert 'aria-label="Payload, as signed"' in text
    assert found["payload"] == "[aria-label='Payload, as signed'] code"


def test_what_is_not_in_the_log_yet_has_no_button(site: Site, reader: Client) -> None:
    row = execution(site, ExecutionState.QUEUED)
    assert "Check in this browser" not in reader.get(f"/executions/{row.pk}/").content.decode()


def test_every_panel_leads_to_the_words_about_evidence(site: Site, reader: Client) -> None:
    row = succeeded(site)
    for path in (f"/executions/{row.pk}/", f"/models/{site.model}/", "/ledger/0/"):
        assert 'href="/docs/evidence/"' in reader.get(path).content.decode()


def test_the_foot_of_a_page_has_the_checkpoint_for_comparison(site: Site, reader: Client) -> None:
    page = parse(reader.get("/ledger/0/").content.decode())
    (foot,) = [tag.attributes for tag in page.tags if "data-checkpoint" in tag.attributes]
    assert int(foot["data-size"]) > 0
    assert len(bytes.fromhex(foot["data-root"])) == 32
    assert foot["data-origin"]
