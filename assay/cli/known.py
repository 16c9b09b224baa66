"""Which log is meant, and under which key: `--log`, or what is named or pinned for its origin."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import typer

from assay.checkpoint import check_origin, is_origin
from assay.cli.rounds import Task
from assay.cli.trust import Named, NotPinnedError, load_policy, load_root
from assay.errors import FormatError, MisuseError
from assay.fetch import check_url
from assay.monitor import Watch
from assay.note import ED25519, VKey
from assay.policy import NO_QUORUM, TlogPolicy

LogOption = Annotated[str, typer.Option(help="Key of the log, a vkey, in place of what is pinned.")]
OriginOption = Annotated[str, typer.Option(help="Name of the log, where it is not the usual one.")]
_NO_WITNESS = TlogPolicy(logs=(), witnesses={}, groups={}, quorum=NO_QUORUM)


def origin_at(where: str) -> str:
    """Return the origin to expect at a URL: its host's name, so that no host passes off another.

    Raises:
        MisuseError: no such URL, or a host that is no name.
    """
    host = urlsplit(check_url(where)).hostname or ""
    if not is_origin(host):
        raise MisuseError(f"{host!r} names no log: give its name by --origin, or its key by --log")
    return host


def origin_named(origin: str, log: str) -> str:
    """Return the origin that the options name, `""` for none.

    Raises:
        MisuseError: `log` is no vkey.
    """
    return origin or (parse_log(log).name if log else "")


def task_for(where: str, origin: str, log: str, named: Named) -> Task:
    """Return the task of reading the log `origin` at `where`, with nothing to watch for.

    `log` is a vkey, which is then all that is trusted unless a policy is named beside it; without
    one the trusted root and the policy are those named or pinned.

    Raises:
        MisuseError: the key is no log's, or another log's; nothing is named or pinned, or does not
            name this log.
        FormatError, UnavailableError: a file is not its format, or cannot be read.
    """
    check_origin(origin)
    if log:
        key = parse_log(log)
        if key.name != origin:
            raise MisuseError(f"--log {key} is not the key of the log {origin}")
        policy = load_policy(origin, named) if named.policy else _NO_WITNESS
    else:
        key, policy = _pinned(origin, named)
    if policy.logs and key not in [item.vkey for item in policy.logs]:
        raise MisuseError(f"the policy does not name the log {key}")
    return Task(where=where, origin=origin, log=key, policy=policy, watch=Watch())


def _pinned(origin: str, named: Named) -> tuple[VKey, TlogPolicy]:
    try:
        root, policy = load_root(origin, named), load_policy(origin, named)
    except NotPinnedError as error:
        raise MisuseError(f"{error}; the log is taken to be {origin}") from error
    for item in root.logs:
        if item.origin == origin:
            return item.vkey, policy
    raise MisuseError(f"the trusted root does not name the log {origin}")


def parse_log(text: str) -> VKey:
    """Return the key of a log that `text`, given as `--log`, spells.

    Raises:
        MisuseError: no vkey, or a witness's.
    """
    try:
        key = VKey.parse(text)
    except FormatError as error:
        raise MisuseError(f"--log: {error}") from error
    if key.kind != ED25519:
        raise MisuseError(f"--log {key} is no key of a log, which has type 01")
    return key
