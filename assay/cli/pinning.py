"""`assay trust`: pin what a registry publishes at first contact, and look at what is pinned.

Both say in words what a pin is good for: who reads the lines has to decide whether to rely on them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from assay.checkpoint import is_origin
from assay.cli.files import read_file
from assay.cli.output import Output, exit_codes
from assay.cli.pins import KEYS, POLICY, ROOT, Published, parse_published, pin
from assay.cli.settings import pinned_folders, trust_folder
from assay.cli.trust import Named, load_keys, load_policy, load_root
from assay.digests import sha256_hex
from assay.errors import MisuseError
from assay.fetch import check_url, fetch
from assay.limits import LIMITS
from assay.policy import NO_QUORUM, TlogPolicy, TrustedRoot
from assay.verify import KeyRing, TrustedKey
from assay.verify.fresh import instant

app = typer.Typer(help="Pin the keys of a log and its users.", no_args_is_help=True)

# Each pinned file, where a registry publishes it, and how long it may be.
_SOURCES = (
    (ROOT, "trusted_root.json", LIMITS.trusted_root),
    (POLICY, "witness-policy.txt", LIMITS.policy),
    (KEYS, "keys.json", LIMITS.trusted_root),
)
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")]


@app.callback()
def _trust() -> None:
    """Pin the keys of a log and its users."""


# ------------------------------------------------------------------ assay trust init


@app.command()
def init(
    url: Annotated[str, typer.Argument(help="The registry, as https://models.example.org.")],
) -> None:
    """Fetch and pin a registry's log key, witness policy and keys (trust on first use)."""
    output = Output(as_json=False)
    with exit_codes(output):
        base = url.rstrip("/")
        published = parse_published(
            {
                name: fetch(f"{base}/.well-known/assay/{source}", limit=limit)
                for name, source, limit in _SOURCES
            }
        )
        known = pin(published)
        folders = " and ".join(str(folder) for folder in published.folders)
        output.line(f"Pinned in {folders}, as {base} said them now:")
        _tell(published, known, output)
        for line in _meaning(published.root, published.policy, published.keys):
            output.line(line)
        for origin in _spoken_for(published, known, base):
            output.line(f"This address is not {origin}: be sure that it may speak for that log.")
        output.line("Compare them with another source before you rely on them.")


def _tell(published: Published, known: set[str], output: Output) -> None:
    """Print what is pinned; what was not there before is marked, unless all is new."""

    def new(name: str) -> str:
        return "  (new)" if known and name not in known else ""

    for log in published.root.logs:
        output.line(f"  log      {log.vkey}{new(str(log.vkey))}")
    for name, witness in published.policy.witnesses.items():
        output.line(f"  witness  {name}: {witness.vkey}")
    output.line(f"  quorum   {published.policy.quorum}")
    for key in published.keys.keys:
        fingerprint = key.key.fingerprint
        output.line(f"  key      {fingerprint}  {key.role} {key.owner}{new(fingerprint)}")


def _spoken_for(published: Published, known: set[str], base: str) -> list[str]:
    """Return the origins of logs that were not pinned before and are not at this address."""
    host = urlsplit(base).hostname
    logs = [log for log in published.root.logs if str(log.vkey) not in known]
    return [log.origin for log in logs if log.origin != host]


def _meaning(root: TrustedRoot, policy: TlogPolicy, keys: KeyRing) -> Iterator[str]:
    """Say what the pins are good for, and what they are not."""
    roles = Counter(key.role or "any role" for key in keys.keys)
    counted = ", ".join(f"{count} {role}" for role, count in roles.items())
    yield "From now on, on this machine and without asking anybody:"
    yield f"  a tree is the ledger's if {' or '.join(root.origins)} signed it by the key above,"
    yield f"  and counts if {quorum_in_words(policy)};"
    yield f"  a statement counts if a key above signed it that may ({counted}),"
    yield "  from that key's entry in the ledger on, up to its revocation."
    yield "What a key's owner says may still be untrue: `assay replay` runs it again."


def quorum_in_words(policy: TlogPolicy) -> str:
    """Return who must have cosigned a tree, as the end of a sentence that begins with "if"."""
    if policy.quorum == NO_QUORUM:
        return "the log alone signed it: no witness is asked for"
    group = policy.groups.get(policy.quorum)
    if group is None:
        return f"the witness {policy.quorum} cosigned it"
    return f"{group.threshold} of {', '.join(group.members)} cosigned it"


# ------------------------------------------------------------------ assay trust show


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pinned:
    """What one folder pins; `digests` are the hex SHA-256 of its files, by name."""

    folder: Path
    root: TrustedRoot
    policy: TlogPolicy
    keys: KeyRing
    digests: dict[str, str]
    since: int


def _origins(incomplete: str) -> list[str]:
    """Return the names of pinned logs that begin like this, for the shell."""
    return [path.name for path in pinned_folders() if path.name.startswith(incomplete)]


@app.command()
def show(
    origin: Annotated[
        str,
        typer.Argument(
            help="One log, by its name or its registry's URL; else all.", autocompletion=_origins
        ),
    ] = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """Show what is pinned. Exit code: 0 shown, 1 a file is no pin, 2 nothing is pinned."""
    output = Output(as_json=as_json)
    with exit_codes(output):
        found = [_read(folder) for folder in _folders(origin)]
        for one in found:
            _show(one, output)
        output.json(verdict="pinned", pins=[_as_json(one) for one in found])


def _folders(origin: str) -> list[Path]:
    if "://" in origin:
        origin = urlsplit(check_url(origin)).hostname or ""
    if origin and not is_origin(origin):
        raise MisuseError(f"{origin!r} is not the name of a log")
    asked = [trust_folder(origin)] if origin else pinned_folders()
    folders = [folder for folder in asked if (folder / ROOT).is_file()]
    if not folders:
        what = f"{origin} is not pinned" if origin else "nothing is pinned"
        raise MisuseError(f"{what}: `assay trust init URL` pins what a registry publishes")
    return folders


def _read(folder: Path) -> _Pinned:
    """Read the pins of a folder; raises as `load_trust`."""
    # A folder is named for its log; where ASSAY_TRUST names one, the name chooses nothing.
    named = Named(trusted_root=folder / ROOT, policy=folder / POLICY)
    return _Pinned(
        folder=folder,
        root=load_root(folder.name, named),
        policy=load_policy(folder.name, named),
        keys=load_keys(folder.name, None),
        digests={
            path.name: sha256_hex(read_file(path, LIMITS.trusted_root))
            for path in (folder / ROOT, folder / POLICY, folder / KEYS)
            if path.exists()
        },
        since=int((folder / ROOT).stat().st_mtime),
    )


def _show(pinned: _Pinned, output: Output) -> None:
    output.line(str(pinned.folder), style="bold")
    output.line(f"  written  {instant(pinned.since)}")
    for log in pinned.root.logs:
        output.line(f"  log      {log.vkey}")
        output.line(f"           at {log.base_url}, since {log.start}")
    for name, witness in pinned.policy.witnesses.items():
        output.line(f"  witness  {name}: {witness.vkey}")
    output.line(f"  quorum   {pinned.policy.quorum}: it counts if {quorum_in_words(pinned.policy)}")
    for key in pinned.keys.keys:
        output.line(f"  key      {key.key.fingerprint}  {_standing(key)}")
    for name, digest in pinned.digests.items():
        output.line(f"  sha256   {digest}  {name}", style="dim")
    if pinned.policy.quorum == NO_QUORUM:
        output.note("No witness is asked for: the log could show others another tree.")
    output.line("Whoever pinned the same has the same lines: compare them with somebody.")


def _standing(key: TrustedKey) -> str:
    """Return what a key may do, since when, and whether it was revoked."""
    who = f"{key.role} {key.owner}".strip() or "any role: a file that you put there"
    since = "" if key.index is None else f", from entry {key.index}{_of(key.log)}"
    until = "" if key.revoked is None else f", revoked at {key.revoked}{_of(key.revoked_log)}"
    return who + since + until


def _of(log: str) -> str:
    return f" of {log}" if log else ""


def _as_json(pinned: _Pinned) -> dict[str, Any]:
    policy = pinned.policy
    return {
        "folder": str(pinned.folder),
        "written": instant(pinned.since),
        "files": pinned.digests,
        "logs": [
            {"origin": log.origin, "vkey": str(log.vkey), "url": log.base_url, "start": log.start}
            for log in pinned.root.logs
        ],
        "witnesses": [
            {"name": name, "vkey": str(key.vkey), "url": key.url}
            for name, key in policy.witnesses.items()
        ],
        "quorum": {"name": policy.quorum, "words": quorum_in_words(policy)},
        "keys": [
            {
                "fingerprint": key.key.fingerprint,
                "role": key.role,
                "owner": key.owner,
                "index": key.index,
                "log": key.log,
                "revoked": key.revoked,
                "revokedLog": key.revoked_log,
            }
            for key in pinned.keys.keys
        ],
    }
