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
from assay.cli.settings import trust_folder
from assay.dsse import load_public_key
from assay.errors import FormatError, MisuseError, UnavailableError, VerificationError
from assay.fetch import fetch
from assay.limits import LIMITS
from assay.policy import TlogPolicy, TrustedRoot, parse_policy, parse_trusted_root
from assay.verify import KeyRing, TrustedKey, parse_keys

app = typer.Typer(help="Pin the keys of a log and its users.", no_args_is_help=True)

_KEY_BYTES = 16_384
ROOT, POLICY, KEYS = "trusted_root.json", "policy.txt", "keys.json"
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
    folder = trust_folder(origin)
    root = _read(named.trusted_root, folder / ROOT, "--trusted-root", LIMITS.trusted_root)
    policy = _read(named.policy, folder / POLICY, "--policy", LIMITS.policy)
    return Trust(
        trusted_root=parse_trusted_root(root),
        policy=parse_policy(policy),
        keys=load_keys(origin, named.key),
    )


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
        fetched = {
            name: fetch(f"{base}/.well-known/assay/{source}", limit=limit)
            for name, source, limit in _SOURCES
        }
        root, keys = parse_trusted_root(fetched[ROOT]), parse_keys(fetched[KEYS])
        policy = parse_policy(fetched[POLICY])
        folder = trust_folder(root.logs[0].origin)
        known = {key.key.fingerprint for key in _pin(folder, fetched).keys}
        output.line(f"Pinned in {folder}, as {base} said them now:")
        for log in root.logs:
            output.line(f"  log      {log.vkey}")
        for name, witness in policy.witnesses.items():
            output.line(f"  witness  {name}: {witness.vkey}")
        output.line(f"  quorum   {policy.quorum}")
        for key in keys.keys:
            new = "  (new)" if known and key.key.fingerprint not in known else ""
            output.line(f"  key      {key.key.fingerprint}  {key.role} {key.owner}{new}")
        origin = root.logs[0].origin
        if urlsplit(base).hostname != origin:
            output.line(f"This address is not {origin}: be sure that it may speak for that log.")
        output.line("Compare them with another source before you rely on them.")


def _pin(folder: Path, fetched: dict[str, bytes]) -> KeyRing:
    """Write the files, or nothing; return the keys that were pinned before.

    What is pinned stays as it is. A registry gains keys, and keys are revoked: the list of keys may
    grow and say so, and that is all that may change.
    """
    before = KeyRing(keys=())
    for name, data in fetched.items():
        path = folder / name
        if not path.exists():
            continue
        pinned = read_file(path, LIMITS.trusted_root)
        if name == KEYS:
            before = parse_keys(pinned)
            _check_grown(before, parse_keys(data), path)
        elif pinned != data:
            raise VerificationError(
                f"{path} pins something else than the registry says now; "
                "find out why before you remove it"
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in fetched.items():
            path = folder / f".{name}.new"
            path.write_bytes(data)
            path.replace(folder / name)
    except OSError as error:
        raise UnavailableError(f"cannot write {folder}: {error.strerror}") from error
    return before


def _check_grown(before: KeyRing, now: KeyRing, path: Path) -> None:
    """Check that every pinned key is listed as it was; a revocation may have come, none may go."""
    listed = {key.key.fingerprint: key for key in now.keys}
    for key in before.keys:
        same = listed.get(key.key.fingerprint)
        if same is None or (key.role, key.owner, key.index) != (same.role, same.owner, same.index):
            raise VerificationError(
                f"{path} pins the key {key.key.fingerprint}, which the registry now lists "
                "otherwise or not at all; find out why before you remove it"
            )
        if key.revoked is not None and key.revoked != same.revoked:
            raise VerificationError(
                f"{path} pins a revocation of the key {key.key.fingerprint}, which the registry "
                "now tells otherwise"
            )


def origin_of(bundle_checkpoint: bytes) -> str:
    """Return the origin that a note's first line claims: it chooses the folder of pins, only.

    Raises:
        FormatError: not a bare host name, so no folder.
    """
    line = bundle_checkpoint.split(b"\n", 1)[0].decode("utf-8", "replace")
    if not is_origin(line):
        raise FormatError("the origin is no bare host name", "checkpoint")
    return line
