"""/verify/ as the server sends it: a form for scripts, the same in lines for whoever runs none."""

from __future__ import annotations

from html import unescape

from django.test import Client

from tests.pages.conftest import Site
from tests.pages.html import faults, parse
from tests.pages.test_every_page import check


def test_the_page_keeps_the_rules_of_all_pages(site: Site, reader: Client) -> None:
    check(reader, "/verify/")
    check(reader, "/verify/?receipt=/executions/01a21725-c57e-7ada-81b5-856fa0cd364c/receipt")


def test_a_reader_without_scripts_is_given_the_command_lines(site: Site, reader: Client) -> None:
    text = reader.get("/verify/").content.decode()
    page = parse(text)
    assert [tag.text for tag in page.all("noscript")] != []
    for line in ("assay trust init", "assay verify receipt", "cosign verify-blob", "assay replay"):
        assert line in unescape(text)
    (tool,) = (tag for tag in page.tags if tag.attributes.get("id") == "tool")
    assert "needs-script" in tool.attributes["class"].split()


def test_what_the_script_looks_for_is_there_and_has_a_label(site: Site, reader: Client) -> None:
    page = parse(reader.get("/verify/").content.decode())
    assert faults(page) == []
    ids = {tag.attributes.get("id", "") for tag in page.tags}
    assert ids >= {
        *("drop", "files", "folder", "verify-form", "receipt-address", "max-age", "max-age-unit"),
        *("output-salt", "input-salt", "handed-box", "handed", "check", "start-over"),
        *("verify-error", "result", "result-title", "verdict", "fork", "steps", "certificate"),
        *("certificate-facts", "save", "print"),
    }
    scripts = [tag.attributes.get("src", "") for tag in page.all("script")]
    assert any(source.endswith("js/pages/verify.js") for source in scripts)


def test_a_receipt_in_the_address_is_never_written_into_the_page(
    site: Site, reader: Client
) -> None:
    text = reader.get("/verify/", {"receipt": "<script>alert(1)</script>"}).content.decode()
    assert "alert(1)" not in text
