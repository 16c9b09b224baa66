"""What the reader trusts: files given on the command line, or pinned at first contact."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from assay.checkpoint import is_origin
from assay.cli.files import read_file
from assay.cli.pins import KEYS, POLICY, ROOT
from assay.cli.settings import trust_folder
from assay.dsse import load_public_key
from assay.errors import FormatError, MisuseError
from assay.limits import LIMITS
from assay.policy import TlogPolicy, TrustedRoot, parse_policy, parse_trusted_root
from assay.verify import KeyRing, TrustedKey, parse_keys

_KEY_BYTES = 16_384


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


def origin_of(bundle_checkpoint: bytes) -> str:
    """Return the origin that a note's first line claims: it chooses the folder of pins, only.

    Raises:
        FormatError: not a bare host name, so no folder.
    """
    line = bundle_checkpoint.split(b"\n", 1)[0].decode("utf-8", "replace")
    if not is_origin(line):
        raise FormatError("the origin is no bare host name", "checkpoint")
    return line
