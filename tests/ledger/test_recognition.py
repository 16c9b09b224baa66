"""What people type into the ledger's search box, and what it is taken for."""

from __future__ import annotations

import base64

import pytest

from ledger.recognition import Form, recognise

HEX = "ab" * 32
ID = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.mark.parametrize(
    ("typed", "form", "value"),
    [
        ("0", Form.INDEX, "0"),
        (" #12 ", Form.INDEX, "12"),
        ("9" * 18, Form.INDEX, "9" * 18),
        (HEX, Form.DIGEST, HEX),
        (HEX.upper(), Form.DIGEST, HEX),
        (f"sha256:{HEX}", Form.DIGEST, HEX),
        (f"SHA256:{HEX}", Form.DIGEST, HEX),
        (f"sha256-{HEX}", Form.DIGEST, HEX),
        ("1" * 64, Form.DIGEST, "1" * 64),
        (base64.b64encode(bytes.fromhex(HEX)).decode(), Form.DIGEST, HEX),
        (f"/log/envelopes/{HEX}", Form.ENVELOPE, HEX),
        (f"https://log.example.org/log/envelopes/{HEX}", Form.ENVELOPE, HEX),
        (f"https://mirror.example.org/envelopes/{HEX}", Form.ENVELOPE, HEX),
        (f"http://localhost:8000/keys/{HEX}/", Form.KEY, HEX),
        (ID, Form.EXECUTION, ID),
        (ID.upper(), Form.EXECUTION, ID),
        (f"https://assay.example.org/executions/{ID}/", Form.EXECUTION, ID),
        ("alice/digits", Form.MODEL, "alice/digits"),
        ("alice/digits/", Form.MODEL, "alice/digits"),
        ("alice", Form.OWNER, "alice"),
        ("Alice-2.0_x", Form.OWNER, "Alice-2.0_x"),
    ],
)
def test_what_is_typed_is_recognised_by_its_form(typed: str, form: Form, value: str) -> None:
    asked = recognise(typed)
    assert (asked.form, asked.value) == (form, value)


@pytest.mark.parametrize(
    "typed",
    [
        *("-1", "1 2", "٣", "a b", "<script>", "alice/digits/card", "-alice", "é"),
        *(HEX + "a b", f"sha512:{HEX}", f"ftp://example.org/envelopes/{HEX}"),
        *(f"/log/envelopes/{HEX.upper()}", "https://other.example.org/ledger/5/", "alice\0"),
        "a" * 97,
    ],
)
def test_what_has_no_form_is_not_searched(typed: str) -> None:
    assert recognise(typed).form is Form.UNKNOWN
