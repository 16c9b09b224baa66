"""With what a command speaks to a registry: a token of the reader's, or one that a build gets.

A build service (GitHub Actions) signs an ID token that says which run of which workflow this is. A
registry that trusts the workflow gives a token for one model in exchange, for fifteen minutes: no
secret has to be stored at the build service. See `docs/howto/ci-publishing.md`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urlsplit

import typer

from assay.cli import settings
from assay.cli.api import LOOPBACK, Api, ask
from assay.cli.files import read_file
from assay.errors import FormatError, MisuseError
from assay.fetch import check_url

UrlOption = Annotated[str, typer.Option(help="The registry, as https://models.example.org.")]
TokenOption = Annotated[
    Path | None, typer.Option(help="File with the API token; else ASSAY_TOKEN.")
]
TrustedOption = Annotated[
    bool, typer.Option("--trusted", help="Trade this build's ID token for an API token.")
]
_MAX_TOKEN = 16_384


def api_for(url: str, token_file: Path | None, *, trusted: bool = False, model: str = "") -> Api:
    """Return the API of the site `url` with the token that the reader named.

    `trusted`: the token is what the build's ID token gets for `model`.

    Raises:
        MisuseError: no token, or an address to which none may go.
        RefusedError: the registry does not trust this build.
        UnavailableError: no answer.
    """
    if trusted:
        if token_file is not None:
            raise MisuseError("--trusted and --token-file are two ways: choose one")
        return Api(url, _exchanged(url.rstrip("/"), model))
    token = _token(token_file)
    if not token:
        raise MisuseError("no API token: set ASSAY_TOKEN, or give --token-file or --trusted")
    return Api(url, token)


def reading_api(url: str, token_file: Path | None) -> Api:
    """Return the API of the site `url` for who reads: with a token, if the reader has one.

    Raises:
        MisuseError: an address to which no token may go.
    """
    return Api(url, _token(token_file))


def _token(token_file: Path | None) -> str:
    token = settings.api_token()
    if token_file is not None:
        token = read_file(token_file, _MAX_TOKEN).decode("utf-8", "replace").strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise MisuseError("the API token is not one line of letters and digits")
    return token


def _exchanged(url: str, model: str) -> str:
    body = {"model": model, "token": settings.id_token() or _from_github(url)}
    if urlsplit(check_url(url)).scheme == "http" and urlsplit(url).hostname not in LOOPBACK:
        raise MisuseError(f"{url} is not https: a token would travel in the open")
    answer = Api(url).post("trusted/token", body)
    token = answer.get("token") if isinstance(answer, dict) else None
    if not isinstance(token, str) or not token:
        raise FormatError("the registry answered without a token", "token")
    return token


def _from_github(audience: str) -> str:
    """Return an ID token of this run, meant for the site `audience`."""
    address, bearer = settings.id_token_request()
    if not address or not bearer:
        raise MisuseError(
            "--trusted needs an ID token: in GitHub Actions give the job the permission "
            "'id-token: write'; elsewhere set ASSAY_ID_TOKEN"
        )
    check_url(address)
    joint = "&" if "?" in address else "?"
    url = f"{address}{joint}audience={quote(audience, safe='')}"
    headers = {"Authorization": f"Bearer {bearer}", "User-Agent": "assay"}
    answer = ask(url, "GET", None, headers)
    value = answer.get("value") if isinstance(answer, dict) else None
    if not isinstance(value, str) or not value:
        raise FormatError("the build service answered without an ID token", "value")
    return value
