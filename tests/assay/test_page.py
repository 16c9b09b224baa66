"""Many modules become one script, and a page loads nothing and ends nowhere too early."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256

import pytest

from assay.canonical import parse_json
from assay.errors import FormatError
from assay.page import Evidence, PageParts, join_modules, keys_document, render_page
from assay.verify import TrustedKey, parse_keys
from tests.assay import claims

TEMPLATE = "<meta {{policy}}><style>{{style}}</style>{{evidence}}<script>{{script}}</script>"
EVIDENCE = Evidence(
    receipt=b"</script><!-- a stranger's",
    predicate_type="urn:x:</script>",
    trusted_root=b"root {{script}}",
    policy=b"policy",
    made_at="2026-11-03T12:00:00Z",
)
PARTS = PageParts(template=TEMPLATE, style="p { color: red }", script="check();", evidence=EVIDENCE)


def wrapped(script: str) -> str:
    """Return the script without its comments and white space."""
    return re.sub(r"\s+", " ", re.sub(r"//[^\n]*\n", "", script)).strip()


def test_modules_are_called_in_the_order_of_their_imports() -> None:
    script = join_modules(
        {
            "page.js": 'import { a, b as c } from "./lib/x.js";\n'
            'import * as y from "./lib/y.js";\na(c, y);\n',
            "lib/x.js": 'import { z } from "../z.js";\nexport const a = z;\nfunction inner() {}\n'
            "export { inner as b };\n",
            "lib/y.js": 'export { z as again } from "../z.js";\nexport * from "./x.js";\n',
            "z.js": "export async function z() {}\nexport class K {}\n",
            "unused.js": 'import { nobody } from "./absent.js";\n',
        },
        "page.js",
    )
    assert wrapped(script) == (
        '"use strict"; '
        "const m0 = (() => { async function z() {} class K {} return { z, K }; })(); "
        "const m1 = (() => { const { z } = m0; const a = z; function inner() {} "
        "return { a, b: inner }; })(); "
        "const m2 = (() => { return { again: m0.z, ...m1 }; })(); "
        "const m3 = (() => { const { a, b: c } = m1; const y = m2; a(c, y); return { }; })();"
    )


def test_an_import_over_several_lines_with_a_comma_at_its_end_is_read() -> None:
    sources = {
        "page.js": 'import {\n  a,\n  b,\n} from "./x.js";\n',
        "x.js": "export const a = 1;\nexport const b = 2;\n",
    }
    assert "const { a, b } = m0;" in join_modules(sources, "page.js")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ('import { a } from "./absent.js";', "is not there, and page.js needs it"),
        ('import { a } from "./page.js";', "imports itself: page.js > page.js"),
        ('import { a } from "library";', "'library', which is no path"),
        ('import { a } from "../x.js";', "'../x.js', which is outside"),
        ("export default 1;", "cannot be put into a page: 'export default 1;'"),
        ("export let a = 1;", "cannot be put into a page"),
        ('import "./x.js";', "cannot be put into a page"),
        ('import a from "./x.js";', "cannot be put into a page"),
        ('import { "a b" as c } from "./x.js";', "cannot be put into a page"),
        ("const end = '</script>';", "would end the script"),
        ("const end = '<!--';", "would end the script"),
    ],
)
def test_what_a_page_cannot_hold_is_refused_and_not_left_out(source: str, words: str) -> None:
    with pytest.raises(FormatError, match=re.escape(words)):
        join_modules({"page.js": f"{source}\n", "x.js": ""}, "page.js")


def test_a_page_without_its_entry_is_refused() -> None:
    with pytest.raises(FormatError, match="the page needs it"):
        join_modules({}, "page.js")


def test_the_policy_of_the_page_names_its_script_and_style_and_nothing_else() -> None:
    whole = render_page(PARTS).decode()

    def named(text: str) -> str:
        return b64encode(sha256(text.encode()).digest()).decode()

    assert (
        f"default-src 'none'; script-src 'sha256-{named(PARTS.script)}'; "
        f"style-src 'sha256-{named(PARTS.style)}'; base-uri 'none'; form-action 'none'"
    ) in whole


def test_no_byte_of_a_stranger_ends_an_element_or_fills_a_place() -> None:
    whole = render_page(PARTS).decode()
    assert whole.count("</script>") == 1
    assert whole.count("check();") == 1
    assert "<!--" not in whole


def test_a_template_without_a_place_and_a_style_that_ends_its_element_are_refused() -> None:
    with pytest.raises(FormatError, match="no place for the evidence"):
        render_page(replace(PARTS, template=TEMPLATE.replace("{{evidence}}", "")))
    with pytest.raises(FormatError, match="would end the element"):
        render_page(replace(PARTS, style="</style>"))


def test_what_is_absent_is_null_and_the_rest_comes_back_as_it_was() -> None:
    told = parse_json(EVIDENCE.to_json())
    assert told["madeAt"] == "2026-11-03T12:00:00Z"
    assert told["registration"] is None
    assert told["receipt"] == b64encode(EVIDENCE.receipt).decode()


def test_the_document_of_one_key_says_what_the_reader_knew_of_it() -> None:
    bare = TrustedKey(key=claims.public_key(), role="publisher", owner="alice")
    whole = replace(bare, index=3, log="a.example", revoked=9, revoked_log="b.example")
    for trusted in (bare, whole):
        assert parse_keys(keys_document(trusted)).keys == (trusted,)
