"""The pages: signed out, one is asked to sign in (401 here) where a page is about oneself."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from tests.permissions.rows_people import register
from tests.permissions.scene import Scene
from tests.permissions.table import both, each, page

READ = "404 200 200 200 404 404"
DRAFT = "404 404 200 200 404 404"
ACCOUNTS = "401 200 200 200 200 200"
WRITE = "401 403 200 200 403 403"
HIDDEN_WRITE = "401 403 200 200 404 404"
ADMIN = "401 403 403 200 403 403"
HIDDEN_ADMIN = "401 403 403 200 404 404"
OWN = "401 404 404 200 404 404"
NOTHING = "401 409 409 409 409 409"  # told that there is no such thing
M = "/models/{m}/"
P = "/publish/{m}/"
CARD = "# A model\n\nIt doubles.\n"


def form(**fields: str) -> bytes:
    return urlencode(fields).encode()


def done(gets: str) -> str:
    """Return `gets` for a form, which leads on when it was taken."""
    return gets.replace("200", "302")


def name_again(scene: Scene, model: str) -> Any:
    return form(**{"delete-name": scene.places[model]})


def member_key(scene: Scene) -> Any:
    return form(asked=json.dumps(register(scene)), do="register")


PUBLIC = [
    page("GET", "/", "200"),
    page("GET", "/status/", "200"),
    page("GET", "/styleguide/", "404"),  # there while DEBUG is on
    page("GET", "/search/", "302"),
    page("POST", "/search/", "400", form(q="no receipt")),
    page("GET", "/verify/", "200"),
    page("GET", "/docs/", "200"),
    page("GET", "/docs/evidence/", "200"),
    page("GET", "/docs/inspection/", "200"),
    page("GET", "/models/", "200"),
    page("GET", "/acme/", "200"),
    *both("GET", "/{m}/", "302", done(READ), make=page),
    page("GET", "/keys/{key}/", "200"),
    page("GET", "/keys/{key}/key.pem", "200"),
]
MODEL = [
    *both("GET", M, "200", READ, make=page),
    *both("GET", f"{M}files/", "200", READ, make=page),
    *both("GET", f"{M}files/{{m_release}}/words.txt", "200", READ, make=page),
    *both("GET", f"{M}files/{{m_failed}}/words.txt", DRAFT, DRAFT, make=page),
    each("GET", f"{M}files/{{m_release}}/words.txt", "403 200 200 200 403 403", "gated", make=page),
    *both("GET", f"{M}graph/", "200", READ, make=page),
    *both("GET", f"{M}api/", "200", READ, make=page),
    *both("GET", f"{M}releases/", "200", READ, make=page),
    *both("GET", f"{M}releases/1.0.0/", "200", READ, make=page),
    *both("GET", f"{M}releases/1.0.0/bom.cdx.json", "200", READ, make=page),
    *both("GET", f"{M}releases/1.0.0/ai.spdx.json", "200", READ, make=page),
    *both("GET", f"{M}releases/1.0.0/CITATION.cff", "200", READ, make=page),
    *both("GET", f"{M}releases/1.0.0/citation.bib", "200", READ, make=page),
    *both("GET", f"{M}releases/1.0.0/model.sig", "200", READ, make=page),
    *both("GET", f"{M}compare/", "200", READ, make=page),
    *both("GET", f"{M}signers/", "200", READ, make=page),
    *both("GET", f"{M}aliases/production/", "200", READ, make=page),
    *both("GET", f"{M}aliases/production/1/alias.sigstore.json", "200", READ, make=page),
    *both(
        *("POST", f"{M}aliases/production/protect/", done(ADMIN), done(HIDDEN_ADMIN)),
        *(form(protected="1"),),
        make=page,
    ),
    *both(
        *("POST", f"{M}releases/1.0.0/withdraw/", done(ADMIN), done(HIDDEN_ADMIN)),
        *(form(reason="It is wrong."),),
        make=page,
    ),
    # ---------------------------------------------------------------- settings
    *both("GET", f"{M}settings/", ADMIN, HIDDEN_ADMIN, make=page),
    *both(
        *("POST", f"{M}settings/visibility/", done(ADMIN), done(HIDDEN_ADMIN)),
        *(form(visibility="gated", gate="manual"),),
        make=page,
    ),
    *both(
        *("POST", f"{M}settings/transfer/", done(ADMIN), done(HIDDEN_ADMIN)),
        *(form(**{"transfer-to": "dora"}),),
        make=page,
    ),
    # What was released stays, whoever asks; what was not may go.
    *both(
        *("POST", f"{M}settings/delete/", ADMIN.replace("200", "400")),
        *(HIDDEN_ADMIN.replace("200", "400"), name_again),
        make=page,
    ),
    page(
        *("POST", "/models/alice/elsewhere/settings/delete/", done(ADMIN)),
        form(**{"delete-name": "alice/elsewhere"}),
    ),
    *both("GET", f"{M}activity/", ADMIN, HIDDEN_ADMIN, make=page),
    *both("GET", f"{M}access/", ACCOUNTS, "401 200 200 200 404 404", make=page),
    each(
        *("POST", f"{M}access/", "401 400 400 200 302 302", "gated", form(reason="To learn.")),
        make=page,
    ),
    each("POST", f"{M}access/withdraw/", "401 404 404 404 404 404", "gated", b"", make=page),
    each(
        *("POST", f"{M}access/dora/", "401 409 409 302 409 409", "gated", form(do="approve")),
        make=page,
    ),
    *both("GET", f"{M}trusted/", ADMIN, HIDDEN_ADMIN, make=page),
    *both(
        *("POST", f"{M}trusted/", done(ADMIN), done(HIDDEN_ADMIN)),
        *(form(repository="acme/other", workflow="release.yml"),),
        make=page,
    ),
    *both(
        *("POST", f"{M}trusted/{{m_publisher}}/remove/"),
        opened="401 409 409 302 409 409",
        hidden="401 409 409 302 404 404",
        make=page,
    ),
]
PUBLISH = [
    page("GET", "/publish/", ACCOUNTS),
    # Who may choose has to.
    page("POST", "/publish/", "401 302 400 400 302 302", form(name="new", visibility="public")),
    page(
        *("POST", "/publish/", "401 400 302 302 400 400"),
        form(name="new", owner="acme", visibility="public"),
        note="for acme",
    ),
    page("POST", "/publish/preview/", ACCOUNTS, form(card=CARD)),
    *both("GET", P, WRITE, HIDDEN_WRITE, make=page),
    *both("GET", f"{P}alias/", ADMIN, HIDDEN_ADMIN, make=page),
    *both("GET", f"{P}{{m_draft}}/", WRITE, HIDDEN_WRITE, make=page),
    *both("GET", f"{P}{{m_draft}}/inspection/", WRITE, HIDDEN_WRITE, make=page),
    *both(
        *("POST", f"{P}{{m_failed}}/appeal/"),
        opened="401 404 302 302 404 404",
        hidden="401 404 302 302 404 404",
        send=form(text="Look again."),
        make=page,
    ),
    # Who was signed out gets back what was typed, under 403.
    *both(
        *("POST", f"{P}{{m_draft}}/card/"),
        opened="403 403 302 302 403 403",
        hidden="403 403 302 302 404 404",
        send=form(card=CARD),
        make=page,
    ),
    *both("GET", f"{P}{{m_draft}}/metadata/", WRITE, HIDDEN_WRITE, make=page),
    *both(
        *("POST", f"{P}{{m_draft}}/metadata/"),
        opened="403 403 302 302 403 403",
        hidden="403 403 302 302 404 404",
        send=form(license="mit", body=CARD),
        make=page,
    ),
    *both("GET", f"{P}{{m_draft}}/sign/", WRITE, HIDDEN_WRITE, make=page),
]
OWNERS = [
    page("GET", "/orgs/acme/", "200"),
    page("POST", "/orgs/acme/title/", done(ADMIN), form(title="Acme Ltd")),
    page("POST", "/orgs/empty/delete/", done(ADMIN), form(**{"delete-name": "empty"})),
    page(
        *("POST", "/orgs/acme/members/", done(ADMIN)),
        form(name="dora", role="reader"),
    ),
    page("POST", "/orgs/acme/members/bob/", "401 409 409 302 409 409", form(role="reader")),
    page("GET", "/settings/organisations/", ACCOUNTS),
    page("POST", "/settings/organisations/", done(ACCOUNTS), form(name="newhouse")),
    page("POST", "/settings/organisations/zoo/accept/", done(OWN), b""),
    page("POST", "/settings/organisations/zoo/decline/", done(OWN), b""),
    page("POST", "/settings/transfers/{offered}/accept/", done(OWN), b""),
    page("POST", "/settings/transfers/{offered}/decline/", done(OWN), b""),
    page("POST", "/settings/transfers/{asked}/cancel/", done(OWN), b""),
]
ONESELF = [
    page("GET", "/settings/keys/", ACCOUNTS),
    page("POST", "/keys/{key}/rename/", "401 409 409 302 409 409", form(name="desk")),
    page("GET", "/settings/keys/member/", ACCOUNTS),
    page("POST", "/settings/keys/member/", "401 400 400 302 400 400", member_key),
    page("GET", "/settings/keys/import/", ACCOUNTS),
    page("POST", "/settings/keys/import/", "401 400 400 400 400 400", form(name="desk")),
    page("GET", "/settings/tokens/", ACCOUNTS),
    page("POST", "/settings/tokens/", done(ACCOUNTS), form(name="ci", scope="read", days="30")),
    page("POST", "/settings/tokens/{token}/delete/", done(ACCOUNTS), b""),
    page("GET", "/settings/activity/", ACCOUNTS),
    page("GET", "/settings/activity/?owner=acme", ADMIN),
    page("GET", "/settings/", done(ACCOUNTS)),
    page("GET", "/settings/profile/", ACCOUNTS),
    page("POST", "/settings/profile/", done(ACCOUNTS), form(title="In full")),
    page("GET", "/settings/sessions/", ACCOUNTS),
    page("POST", "/settings/sessions/end/", done(ACCOUNTS), b""),
    page("POST", f"/settings/sessions/{'0' * 32}/end/", NOTHING, b""),
    # Led to say again who they are.
    page("GET", "/settings/export/", ACCOUNTS),
    page("POST", "/settings/export/", done(ACCOUNTS), b""),
    page("GET", "/settings/account/", ACCOUNTS),
    page("POST", "/settings/account/", done(ACCOUNTS), form(name="mallory")),
    page("POST", "/settings/account/keep/", NOTHING, b""),
    page("GET", "/settings/webhooks/", ACCOUNTS),
    page("GET", "/settings/webhooks/?owner=acme", ADMIN),
    page("GET", "/settings/webhooks/?model={secret}", HIDDEN_ADMIN),
    page("POST", "/settings/webhooks/", ACCOUNTS, form(url="https://hooks.example.org/new")),
    page(
        *("POST", "/settings/webhooks/?owner=acme", ADMIN),
        form(url="https://hooks.example.org/new"),
    ),
    page("GET", "/settings/webhooks/{webhook}/", OWN),
    page("POST", "/settings/webhooks/{webhook}/test/", done(OWN), b""),
    page("POST", "/settings/webhooks/{webhook}/{delivery}/", done(OWN), b""),
    page("POST", "/settings/webhooks/{webhook}/delete/", done(OWN), b""),
    page("GET", "/me/uploads/", ACCOUNTS),
    page("POST", "/me/uploads/{upload}/discard/", "401 409 409 302 409 409", b""),
    page("GET", "/me/models/", ACCOUNTS),
]
ROWS = [*PUBLIC, *MODEL, *PUBLISH, *OWNERS, *ONESELF]
