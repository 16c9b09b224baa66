"""Pinning what a registry publishes: first contact is trusted, later changes are not.

What may be added to what is pinned, and nothing else may change:

1. a log behind those of the trusted root, their successor, and its line in the policy;
2. a key; the index of a pinned key that had none; the revocation of a pinned key.

Each log of the trusted root has a folder of its own, and all get the same files: whoever holds a
receipt of one of these logs finds them by its origin.

Commit point: the replacement of each file. A crash between two leaves pins that know less than the
registry says, which refuse more, and the same command again finishes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from assay.cli.files import make_folder, read_file, write_file
from assay.cli.settings import trust_folder
from assay.errors import UnavailableError, VerificationError
from assay.limits import LIMITS
from assay.policy import TlogPolicy, TrustedRoot, parse_policy, parse_trusted_root
from assay.verify import KeyRing, TrustedKey, parse_keys

ROOT, POLICY, KEYS = "trusted_root.json", "policy.txt", "keys.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a registry says: the three files, and what they mean."""

    files: Mapping[str, bytes]
    root: TrustedRoot
    policy: TlogPolicy
    keys: KeyRing

    @property
    def folders(self) -> list[Path]:
        """The folders of the logs, each once."""
        return list(dict.fromkeys(trust_folder(origin) for origin in self.root.origins))


def parse_published(files: Mapping[str, bytes]) -> Published:
    """Read the three files; `FormatError` when one is not its format."""
    return Published(
        files=files,
        root=parse_trusted_root(files[ROOT]),
        policy=parse_policy(files[POLICY]),
        keys=parse_keys(files[KEYS]),
    )


def pin(published: Published) -> set[str]:
    """Write the files into each log's folder, once nothing that is pinned contradicts them.

    Returns the vkeys and fingerprints that were pinned before.

    Raises:
        VerificationError: something that is pinned is said otherwise now, or no longer.
        FormatError: a pinned file is not its format.
        UnavailableError: a file cannot be read or written.
    """
    known = set().union(*(_check_folder(folder, published) for folder in published.folders))
    for folder in published.folders:
        try:
            make_folder(folder)
            for name, data in published.files.items():
                write_file(folder, name, data)
        except OSError as error:
            raise UnavailableError(f"cannot write {folder}: {error.strerror}") from error
    return known


def _check_folder(folder: Path, now: Published) -> set[str]:
    """Check what is pinned in one folder; return its vkeys and fingerprints."""
    known: set[str] = set()
    for name, check in ((ROOT, _check_root), (POLICY, _check_policy), (KEYS, _check_keys)):
        path = folder / name
        if path.exists():
            known |= check(path, read_file(path, LIMITS.trusted_root), now)
    return known


def _check_root(path: Path, pinned: bytes, now: Published) -> set[str]:
    before = parse_trusted_root(pinned).logs
    more = len(now.root.logs) > len(before)
    if pinned != now.files[ROOT] and not (more and now.root.logs[: len(before)] == before):
        raise _changed(path)
    return {str(log.vkey) for log in before}


def _check_policy(path: Path, pinned: bytes, now: Published) -> set[str]:
    """A log's line may be added; its address there is for people, and nothing here uses it."""
    before = parse_policy(pinned)
    logs, others = ({key.vkey for key in policy.logs} for policy in (before, now.policy))
    same = replace(before, logs=()) == replace(now.policy, logs=())
    if pinned != now.files[POLICY] and not (same and logs < others):
        raise _changed(path)
    return set()


def _changed(path: Path) -> VerificationError:
    return VerificationError(
        f"{path} pins something else than the registry says now; find out why before you remove it"
    )


def _check_keys(path: Path, pinned: bytes, now: Published) -> set[str]:
    """Every pinned key is listed as it was; a revocation may have come, none may go."""
    listed = {key.key.fingerprint: key for key in now.keys.keys}
    before = parse_keys(pinned).keys
    for key in before:
        same = listed.get(key.key.fingerprint)
        if same is None or not _is_listed(key, same, now.root.origins[0]):
            raise VerificationError(
                f"{path} pins the key {key.key.fingerprint}, which the registry now lists "
                "otherwise or not at all; find out why before you remove it"
            )
        if not _is_revoked(key, same, now.root.origins[0]):
            raise VerificationError(
                f"{path} pins a revocation of the key {key.key.fingerprint}, which the registry "
                "now tells otherwise"
            )
    return {key.key.fingerprint for key in before}


def _is_listed(key: TrustedKey, now: TrustedKey, oldest: str) -> bool:
    """Tell whether `now` says of a pinned `key` what was said before.

    Before there was a second log, nobody had to say which one an index is of: the `oldest`.
    """
    place, placed = ((one.index, one.log or oldest) for one in (key, now))
    same = (key.role, key.owner) == (now.role, now.owner)
    return same and (key.index is None or place == placed)


def _is_revoked(key: TrustedKey, now: TrustedKey, oldest: str) -> bool:
    place, placed = ((one.revoked, one.revoked_log or one.log or oldest) for one in (key, now))
    return key.revoked is None or place == placed
