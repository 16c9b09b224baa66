"""What all pages of the ledger share: the log that they are about, its head, how it fares."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port
from django.shortcuts import render

from ledger.errors import LogBusyError, UnknownLogError
from ledger.keyset import Page
from ledger.logs import address_of, all_logs
from ledger.models import Checkpoint, Log
from ledger.selectors import Witnessing, newest_published, witnessing
from ledger.standing import standing

_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The log that a page is about, among all of this installation.

    `query` and `more` are what an address needs to stay with it, as its whole query or after one:
    empty for the current log. `files` is the address of its tiles, empty where it is not known;
    under `/log` are those of the log that this `host` names (`ledger.logs.log_at`).
    """

    log: Log
    logs: Sequence[Log]
    host: str

    @property
    def current(self) -> bool:
        return self.log.origin == settings.LEDGER_ORIGIN

    @property
    def query(self) -> str:
        return "" if self.current else f"?{self.parameters}"

    @property
    def more(self) -> str:
        return "" if self.current else f"&{self.parameters}"

    @property
    def parameters(self) -> str:
        return "" if self.current else urlencode({"log": self.log.origin})

    @property
    def url(self) -> str:
        return address_of(self.log)

    @property
    def files(self) -> str:
        named = self.host in {log.origin for log in self.logs}
        here = self.log.origin == self.host if named else self.current
        return "/log" if here else self.url


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownHead:
    """The newest published checkpoint of a log, as the strip shows it."""

    size: int
    root: bytes
    signed_at: datetime
    witnessing: Witnessing


def place_of(request: HttpRequest) -> Place:
    """Return the log that `?log=<origin>` names, or the current one.

    Raises:
        UnknownLogError: there is none with that origin.
        LogBusyError: the current one is not open yet.
    """
    origin = request.GET.get("log", "") or settings.LEDGER_ORIGIN
    logs = all_logs()
    for log in logs:
        if log.origin == origin:
            host = split_domain_port(request.get_host())[0]
            return Place(log=log, logs=logs, host=host)
    if origin == settings.LEDGER_ORIGIN:
        raise LogBusyError("The log is not open yet: its sequencer has not started.")
    raise UnknownLogError(
        f"No log here is named {origin[:100]}. /ledger/logs/ lists those there are."
    )


def shown(
    request: HttpRequest,
    template: str,
    place: Place,
    context: Mapping[str, Any],
    *,
    newest: Checkpoint | None = None,
    status: int = 200,
) -> HttpResponse:
    """Render a page of the ledger; `newest` is the newest published checkpoint, where it is known.

    Raises:
        LogBusyError: the log has no published checkpoint yet.
    """
    head = head_of(newest or newest_published(place.log))
    common: dict[str, Any] = {
        "place": place,
        "log": place.log,
        "log_query": place.query,
        "log_head": head,
        "standing": standing(place.log) if place.current else None,
    }
    if place.current:
        common["head"] = head  # the footer's, too
    return render(request, template, {**common, **context}, status=status)


def head_of(newest: Checkpoint) -> ShownHead:
    """Return a checkpoint as the strip shows it."""
    return ShownHead(
        size=newest.size,
        root=bytes(newest.root),
        signed_at=newest.signed_at,
        witnessing=witnessing(newest),
    )


def pages(path: str, place: Place, page: Page[Any], query: str = "") -> dict[str, str | None]:
    """Return the addresses of the first page and of those beside `page`; None where none is."""

    def at(**edge: int) -> str:
        return address(path, query, place.parameters, urlencode(edge))

    return {
        "newest_url": at(),
        "newer_url": None if page.newer is None else at(after=page.newer),
        "older_url": None if page.older is None else at(before=page.older),
    }


def number(text: str) -> int | None:
    """Return the index or size that an address names, None for anything else."""
    return int(text) if _NUMBER.fullmatch(text) else None


def address(path: str, *queries: str) -> str:
    """Return a path with what of its query is not empty."""
    query = "&".join(part for part in queries if part)
    return f"{path}?{query}" if query else path
