"""What the reader trusts: files given on the command line, or pinned at first contact."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from assay.checkpoint import is_origin
from assay.cli.files import read_file
from assay.cli.output import Output, exit_codes
from assay.cli.pins import KEYS, POLICY, ROOT, Published, parse_published, pin
from assay.cli.settings import trust_folder
from assay.dsse import load_public_key
from assay.errors import FormatError, MisuseError
from assay.fetch import fetch
from assay.limits import LIMITS
from assay.policy import TlogPolicy, TrustedRoot, parse_policy, parse_trusted_root
from assay.verify import KeyRing, TrustedKey, parse_keys

app = typer.Typer(help="Pin the keys of a log and its users.", no_args_is_help=True)

_KEY_BYTES = 16_384
# Each pinned file, where a registry publishes it, and how long it may be.
_SOURCES = (
    (ROOT, "trusted_root.json", LIMITS.trusted_root),
    (POLICY, "witness-policy.txt", LIMITS.policy),
    (KEYS, "keys.json", LIMITS.trusted_root),
)


class NotPinnedError(MisuseError):
    """The reader named no file, and pinned none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """The trusted logs, the witness policy, and the keys."""

    trusted_root: TrustedRoot
    policy: TlogPolicy
    keys: KeyRing


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """The files that the command line names; None for those to be taken from the pins."""

    key: Path | None = None
    trusted_root: Path | None = None
    policy: Path | None = None


def load_trust(origin: str, named: Named) -> Trust:
    """Return what the reader trusts about the log `origin`.

    Raises:
        NotPinnedError: a file is neither named nor pinned.
        MisuseError: a key file holds no P-256 public key.
        FormatError: a file is not its format.
        UnavailableError: a named file cannot be read.
    """
    return Trust(
        trusted_root=load_root(origin, named),
        policy=load_policy(origin, named),
        keys=load_keys(origin, named.key),
    )


def load_root(origin: str, named: Named) -> TrustedRoot:
    """Return the trusted root named, or the one pinned for `origin`; raises as `load_trust`."""
    pinned = trust_folder(origin) / ROOT
    return parse_trusted_root(
        _read(named.trusted_root, pinned, "--trusted-root", LIMITS.trusted_root)
    )


def load_policy(origin: str, named: Named) -> TlogPolicy:
    """Return the witness policy named, or the one pinned for `origin`; raises as `load_trust`."""
    pinned = trust_folder(origin) / POLICY
    return parse_policy(_read(named.policy, pinned, "--policy", LIMITS.policy))


def load_keys(origin: str, named: Path | None) -> KeyRing:
    """Return the key named, or the pinned ones: keys.json, and keys/*.pem for any role.

    Raises: as `load_trust`.
    """
    if named is not None:
        return KeyRing(keys=(_vouched(named),))
    folder = trust_folder(origin)
    pinned = folder / KEYS
    keys = parse_keys(read_file(pinned, LIMITS.trusted_root)).keys if pinned.exists() else ()
    keys += tuple(_vouched(path) for path in sorted((folder / "keys").glob("*.pem")))
    if not keys:
        raise NotPinnedError(_missing("--key", pinned))
    return KeyRing(keys=keys)


def _vouched(path: Path) -> TrustedKey:
    return TrustedKey(key=load_public_key(read_file(path, _KEY_BYTES)))


def _read(named: Path | None, pinned: Path, option: str, limit: int) -> bytes:
    if named is not None:
        return read_file(named, limit)
    if not pinned.exists():
        raise NotPinnedError(_missing(option, pinned))
    return read_file(pinned, limit)


def _missing(option: str, pinned: Path) -> str:
    return (
        f"{option} is not given and {pinned} does not exist; "
        "`assay trust init URL` pins what a registry publishes"
    )


@app.callback()
def _trust() -> None:
    """Pin the keys of a log and its users."""


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


def origin_of(bundle_checkpoint: bytes) -> str:
    """Return the origin that a note's first line claims: it chooses the folder of pins, only.

    Raises:
        FormatError: not a bare host name, so no folder.
    """
    line = bundle_checkpoint.split(b"\n", 1)[0].decode("utf-8", "replace")
    if not is_origin(line):
        raise FormatError("the origin is no bare host name", "checkpoint")
    return line
