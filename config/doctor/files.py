"""Keys and their modes, room on the disks, the storage."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError

from assay.dsse import public_key_of
from assay.errors import MisuseError
from assay.note import ED25519, vkey_for
from config import probes
from config.doctor.findings import Finding, fault, good, size, warning
from ledger import services as ledger
from ledger.errors import LedgerError
from ledger.keys import load_log_key
from registry.choices import KeyState
from registry.errors import RegistryError
from registry.keyfile import load_or_create_key
from registry.models import Key
from registry.storage import TemporaryFile, blobs, sync_folder

LITTLE_ROOM = 2 * 2**30
_PROBE = b"assay doctor: a file that may be deleted\n"

# ------------------------------------------------------------------ keys


def _key_files() -> dict[str, Path]:
    """Return the key files by the setting that names each."""
    return {
        "LEDGER_KEY": Path(settings.LEDGER_KEY),
        "REGISTRY_KEY": Path(settings.REGISTRY_KEY),
        "EXECUTOR_KEY": Path(settings.EXECUTOR_KEY),
        "AUDITOR_KEY": Path(settings.AUDITOR_KEY),
    }


def check_keys() -> Iterator[Finding]:
    """Look at the key files that are on this machine: who may read them, and what they hold."""
    folder = Path(settings.KEYS_DIR)
    if folder.is_dir() and folder.stat().st_mode & 0o077:
        yield warning(f"others may look into {folder}", f"chmod 700 {folder}")
    here = []
    for name, path in (*_key_files().items(), ("SECRET_KEY", folder / "django.secret")):
        if not path.exists():
            continue
        here.append(name)
        wrong = _wrong_with(name, path)
        if wrong is not None:
            yield wrong
    missing = sorted(set(_key_files()) - set(here))
    absent = f"; not on this machine: {', '.join(missing)}" if missing else ""
    yield good(f"{len(here)} here{absent}")


def _wrong_with(name: str, path: Path) -> Finding | None:
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        words = f"{name}: others may read {path} (mode {mode:o})"
        return fault(words, f"chmod 600 {path}; if others were here, use a new key.")
    if not os.access(path, os.R_OK):
        return fault(f"{name}: {path} cannot be read", "Run as the user that owns it, or chown it.")
    if name == "SECRET_KEY":
        return None
    load: Callable[[Path], object] = load_log_key if name == "LEDGER_KEY" else load_or_create_key
    try:
        load(path)
    except (LedgerError, MisuseError) as error:
        return fault(f"{name}: {error}", "Put the key back from where you keep a copy.")
    return None


def check_registered() -> Iterator[Finding]:
    """Compare the keys on this machine with what the database says of them."""
    try:
        found = [*_log_key(), *_service_keys()]
    except DatabaseError as error:
        found = [fault(f"cannot be read: {error}", "Let the role read every table.")]
    yield from found or [good("the keys on this machine are the registered ones")]


def _log_key() -> Iterator[Finding]:
    path = Path(settings.LEDGER_KEY)
    try:
        said = ledger.log_vkey()
        key = load_log_key(path) if path.exists() else None
    except LedgerError:  # `log` and `keys` tell
        return
    if key is not None and said != str(vkey_for(settings.LEDGER_ORIGIN, key.public_key(), ED25519)):
        yield fault(
            f"LEDGER_KEY {path} is not the key that the log {settings.LEDGER_ORIGIN} began with",
            "Put the right key back. A log's key cannot be replaced: a new one is a new log.",
        )


def _service_keys() -> Iterator[Finding]:
    commands = {"REGISTRY_KEY": "register_keys", "EXECUTOR_KEY": "register_executor"}
    for name, path in _key_files().items():
        if name == "LEDGER_KEY":  # which is the log's name for itself, and in no table of keys
            continue
        # The auditor registers its key itself, before it signs for the first time.
        run = f"Run `manage.py {commands[name]}`." if name in commands else ""
        try:
            if not path.exists():
                continue
            private = load_or_create_key(path)
        except (MisuseError, OSError):  # `keys` tells
            continue
        row = Key.objects.filter(pk=public_key_of(private.public_key()).fingerprint).first()
        if row is None:
            if run:
                yield fault(f"{name} {path} is not registered", run)
        elif row.state != KeyState.REGISTERED:
            yield fault(
                f"{name} {path} is {row.state}: what it signs counts for nothing",
                f"Move the file away, and restart what uses it. {run}".rstrip(),
            )


# ------------------------------------------------------------------ room, storage


def check_disk() -> Iterator[Finding]:
    """Look at the room where data, log and blobs lie."""
    folders = {Path(settings.DATA)}
    if not settings.LEDGER_STORAGE:
        folders.add(Path(settings.LEDGER_DIR))
    if not settings.BLOBS_STORAGE:
        folders |= {Path(settings.BLOBS_DIR), Path(settings.UPLOADS_DIR)}
    for folder in sorted(folders):
        try:
            free = probes.room(folder)
        except OSError as error:
            yield fault(
                f"{folder}: {error.strerror}",
                "Mount it for writing, or give it to the user that runs the site.",
            )
            continue
        if free < probes.LEAST_ROOM:
            yield fault(f"{folder} is full", "Make room: the log holds below 64 MiB.")
        elif free < LITTLE_ROOM:
            yield warning(f"{folder} has {size(free)} left", "Make room before it is full.")
        else:
            yield good(f"{folder} has {size(free)} left")


def check_storage() -> Iterator[Finding]:
    """Write, read and remove a small file where models lie; a bucket is only asked."""
    try:
        if settings.BLOBS_STORAGE:
            blobs().exists("0" * 64)
            yield good(f"{settings.BLOBS_STORAGE} answers")
            return
        _try_folder(Path(settings.BLOBS_DIR) / "tmp")
    except RegistryError as error:
        yield fault(
            f"{settings.BLOBS_STORAGE}: {error.message}",
            "Look at BLOBS_STORAGE, BLOBS_S3_ENDPOINT and the credentials.",
        )
    except OSError as error:
        yield fault(
            f"{settings.BLOBS_DIR} takes no file: {error.strerror}",
            "Give the folder to the user that runs the site.",
        )
    else:
        yield good(f"{settings.BLOBS_DIR} takes files and gives them back")


def _try_folder(folder: Path) -> None:
    with TemporaryFile(folder) as temporary:
        temporary.file.write(_PROBE)
        target = folder / f".doctor-{secrets.token_hex(8)}"
        temporary.rename(target)
    try:
        if target.read_bytes() != _PROBE:
            raise OSError(0, "what was read is not what was written")
    finally:
        target.unlink()
        sync_folder(folder)
