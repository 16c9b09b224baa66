"""`/accounts`: one's own sign-in, which nobody else has anything to do with (allauth's pages)."""

from __future__ import annotations

from tests.permissions.table import page

A = "/accounts"
ACCOUNTS = "401 200 200 200 200 200"
# Led on: an address has to be confirmed first, or there is no second factor yet.
ON = "401 302 302 302 302 302"
GUESTS = "200 302 302 302 302 302"

ROWS = [
    page("GET POST PUT", f"{A}/login/", GUESTS),
    page("GET", f"{A}/logout/", "302 200 200 200 200 200"),
    page("POST", f"{A}/logout/", "302"),
    page("GET", f"{A}/inactive/", "200"),
    page("GET POST PUT", f"{A}/signup/", GUESTS),
    page("GET POST PUT", f"{A}/reauthenticate/", ACCOUNTS),
    page("GET", f"{A}/email/", ACCOUNTS),
    page("POST PUT", f"{A}/email/", ON),
    page("GET", f"{A}/confirm-email/", "200"),
    page("GET", f"{A}/confirm-email/nothing/", "200"),
    page("POST", f"{A}/confirm-email/nothing/", "404"),
    page("GET POST PUT", f"{A}/password/change/", ACCOUNTS),
    page("GET POST PUT", f"{A}/password/set/", ON),
    page("GET POST PUT", f"{A}/password/reset/", "200"),
    page("GET", f"{A}/password/reset/done/", "200"),
    page("GET", f"{A}/password/reset/key/done/", "200"),
    page("GET POST PUT", f"{A}/password/reset/key/1-nothing/", "200"),
    page("GET POST PUT", f"{A}/login/code/confirm/", "302"),
    page("GET", f"{A}/2fa/", ACCOUNTS),
    page("GET POST", f"{A}/2fa/authenticate/", "302"),
    page("GET POST PUT", f"{A}/2fa/reauthenticate/", ON),
    page("GET POST PUT", f"{A}/2fa/totp/activate/", ON),
    page("GET POST PUT", f"{A}/2fa/totp/deactivate/", "401 404 404 404 404 404"),
    page("GET", f"{A}/2fa/recovery-codes/", "401 404 404 404 404 404"),
    page("GET POST PUT", f"{A}/2fa/recovery-codes/generate/", ON),
    page("GET", f"{A}/2fa/recovery-codes/download/", "401 404 404 404 404 404"),
    page("GET", f"{A}/2fa/webauthn/", ACCOUNTS),
    page("GET POST PUT", f"{A}/2fa/webauthn/add/", ON),
    page("GET POST PUT", f"{A}/2fa/webauthn/reauthenticate/", ON),
    page("GET POST DELETE", f"{A}/2fa/webauthn/keys/1/remove/", ON),
    page("GET POST PUT", f"{A}/2fa/webauthn/keys/1/edit/", ON),
    page("GET", f"{A}/2fa/webauthn/login/", "302"),
    page("POST PUT", f"{A}/2fa/webauthn/login/", "409 302 302 302 302 302"),
]
