"""`manage.py doctor`: names what is wrong, says how to mend it, and changes nothing."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from pytest_django import Settings

from assay.dsse import public_key_of
from assay.note import COSIGNATURE, vkey_for
from config.doctor import CHECKS, Finding, Level, examine, names, programs, runtime
from inference import runtimes
from inference.services.auditor_key import ensure_auditor_key
from ledger import services as ledger
from ledger.choices import LeaderState
from ledger.keys import make_log_key
from ledger.leadership import begin_term, tell
from ledger.models import Checkpoint, Leader
from registry.choices import KeyState
from registry.keyfile import load_or_create_key
from registry.models import Key
from registry.services.own_key import ensure_registry_key
from tests.config.test_settings import run
from tests.ledger.builders import claim, sequence

ABROAD = {
    "SITE_URL": "http://models.example.org",
    "SITE_IS_LOCAL": False,
    "ALLOWED_HOSTS": ["models.example.org", "localhost"],
}


@pytest.fixture
def site(db: None, settings: Settings, tmp_path: Path) -> Settings:
    """A laptop on which all is well, but that nobody runs models or drains queues."""
    settings.DATA = tmp_path
    settings.EXECUTOR_SOCKET = tmp_path / "nobody.sock"
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    (settings.STATIC_ROOT / "css").mkdir()
    ledger.ensure_log()
    begin_term("localhost")
    claim(1).append()
    sequence()
    ensure_registry_key()
    sequence()
    runtimes.add(settings.PORTABLE_RUNTIME)
    return settings


def only(name: str) -> list[Finding]:
    """Return what one check finds, with those that it needs."""
    needed, wanted = {check.name: check.needs for check in CHECKS}, {name}
    while needed[name]:
        name = needed[name]
        wanted.add(name)
    return list(examine([one for one in names() if one not in wanted]))


def worst(name: str) -> Finding:
    """Return the first fault, else the first warning, else what is good."""
    found = [one for one in only(name) if one.check == name]
    order = (Level.FAULT, Level.WARNING, Level.SKIPPED, Level.GOOD)
    return min(found, key=lambda one: order.index(one.level))


def test_on_a_laptop_where_all_runs_nothing_is_wrong_but_what_is_not_there(site: Settings) -> None:
    found = list(examine(["executor", "worker"]))
    assert [one for one in found if one.level == Level.FAULT] == []
    assert {one.check for one in found} == set(names()) - {"executor", "worker"}
    # It says so: nobody cosigns, passkeys want a name.
    assert {one.check for one in found if one.level == Level.WARNING} == {"site", "witnesses"}
    assert all(one.remedy for one in found if one.level == Level.WARNING)


def test_looking_changes_no_row_and_no_file(site: Settings, tmp_path: Path) -> None:
    def state() -> Any:
        rows = Key.objects.count(), Checkpoint.objects.count(), ledger.newest_checkpoint().size
        return rows, sorted(path for path in tmp_path.rglob("*") if path.is_file())

    before = state()
    list(examine())
    assert state() == before


def test_programs_that_are_not_there_are_named(site: Settings) -> None:
    assert str(site.EXECUTOR_SOCKET) in worst("executor").words
    assert worst("worker").words == "nobody drains executions, housekeeping, replays"
    site.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    Leader.objects.update(beat_at=timezone.now() - timedelta(minutes=1))
    assert "sequencer" in worst("log").words
    assert "manage.py sequencer" in worst("log").remedy


@pytest.mark.parametrize("state", [LeaderState.HELD, LeaderState.STOPPED])
def test_a_log_that_does_not_grow_says_why(state: LeaderState, site: Settings) -> None:
    tell("localhost", begin_term("localhost"), state, "The disk is full.")
    assert "The disk is full." in worst("log").words
    assert worst("log").level == Level.FAULT


def test_a_database_that_is_away_is_told_once(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError("connection refused\nIs the server running?")

    with monkeypatch.context() as patched:
        patched.setattr("django.db.connection.cursor", away)
        found = list(examine(["worker", "executor", "settings"]))
    (fault,) = [one for one in found if one.check == "database"]
    assert fault.words == "does not answer: connection refused"
    assert "make run" in fault.remedy
    skipped = {one.check for one in found if one.level == Level.SKIPPED}
    assert skipped == {"migrations", "clock", "log", "registered", "witnesses"}


def test_tables_that_are_behind_or_ahead_are_named(site: Settings) -> None:
    rows = MigrationRecorder(connection).migration_qs
    rows.filter(app="registry", name="0010_watch").delete()
    assert worst("migrations").words == "1 not applied: registry.0010_watch"
    assert worst("migrations").remedy == "Run `manage.py migrate`."
    assert worst("log").level == Level.SKIPPED
    MigrationRecorder(connection).record_applied("registry", "0010_watch")
    MigrationRecorder(connection).record_applied("registry", "9999_future")
    assert worst("migrations").level == Level.WARNING
    assert "registry.9999_future" in worst("migrations").words


def test_a_key_that_others_may_read_is_a_fault(site: Settings) -> None:
    assert worst("keys").level == Level.GOOD
    site.REGISTRY_KEY.chmod(0o640)
    assert "mode 640" in worst("keys").words
    assert worst("keys").remedy.startswith(f"chmod 600 {site.REGISTRY_KEY}")
    site.REGISTRY_KEY.chmod(0o600)
    site.KEYS_DIR.chmod(0o755)
    assert worst("keys").remedy == f"chmod 700 {site.KEYS_DIR}"


def test_a_key_of_another_kind_is_a_fault(site: Settings) -> None:
    kept = site.LEDGER_KEY.read_bytes()
    site.LEDGER_KEY.write_bytes(site.REGISTRY_KEY.read_bytes())
    assert "no Ed25519 key" in worst("keys").words
    site.LEDGER_KEY.write_bytes(kept)
    site.REGISTRY_KEY.write_text("nothing")
    assert "REGISTRY_KEY" in worst("keys").words


def test_a_log_key_that_is_not_the_logs_is_a_fault(site: Settings, tmp_path: Path) -> None:
    assert worst("registered").level == Level.GOOD
    site.LEDGER_KEY = tmp_path / "other.pem"
    make_log_key(site.LEDGER_KEY)
    assert "is not the key" in worst("registered").words


def test_a_registry_key_that_nobody_knows_or_that_was_revoked_is_a_fault(
    site: Settings, tmp_path: Path
) -> None:
    private = load_or_create_key(site.REGISTRY_KEY)
    fingerprint = public_key_of(private.public_key()).fingerprint
    entry = Key.objects.get(pk=fingerprint).entry
    Key.objects.filter(pk=fingerprint).update(state=KeyState.REVOKED, revocation=entry)
    assert "revoked" in worst("registered").words
    site.REGISTRY_KEY = tmp_path / "new.pem"
    load_or_create_key(site.REGISTRY_KEY)
    assert worst("registered").remedy == "Run `manage.py register_keys`."


def test_an_auditor_key_that_was_revoked_is_a_fault_and_an_unused_one_is_none(
    site: Settings,
) -> None:
    load_or_create_key(site.AUDITOR_KEY)
    assert worst("registered").level == Level.GOOD, "it is registered when it signs"
    fingerprint = public_key_of(ensure_auditor_key().public_key()).fingerprint
    entry = Key.objects.get(pk=fingerprint).entry
    Key.objects.filter(pk=fingerprint).update(state=KeyState.REVOKED, revocation=entry)
    assert worst("registered").words.startswith("AUDITOR_KEY")
    assert worst("registered").remedy == "Move the file away, and restart what uses it."


def test_a_clock_that_runs_behind_is_told(site: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert worst("clock").level == Level.GOOD
    real = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: real() - timedelta(seconds=90))
    found = [one.words for one in only("clock") if one.level == Level.FAULT]
    assert "off the database's clock" in found[0]
    assert "later than now" in found[1]
    monkeypatch.setattr(timezone, "now", lambda: real() + timedelta(seconds=5))
    assert worst("clock").level == Level.WARNING


def test_a_disk_that_fills_up_is_told_before_it_is_full(
    site: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room, level in ((10**6, Level.FAULT), (10**9, Level.WARNING), (10**12, Level.GOOD)):
        monkeypatch.setattr("config.probes.room", lambda _, room=room: room)
        assert worst("disk").level == level


def test_a_storage_that_takes_no_file_is_a_fault(site: Settings, tmp_path: Path) -> None:
    assert worst("storage").level == Level.GOOD
    site.BLOBS_DIR = tmp_path / "file" / "blobs"
    (tmp_path / "file").touch()
    assert worst("storage").level == Level.FAULT
    assert worst("disk").level == Level.FAULT
    site.BLOBS_STORAGE = "s3://bucket/blobs"
    site.BLOBS_S3_ENDPOINT = "http://127.0.0.1:1"
    assert worst("storage").level == Level.FAULT
    assert "BLOBS_S3_ENDPOINT" in worst("storage").remedy


def test_what_no_check_thought_of_is_a_fault_and_ends_no_examination(
    site: Settings, tmp_path: Path
) -> None:
    site.RUNTIMES_DIR = tmp_path / "nothing"  # and with it the manifest of the libraries
    found = list(examine([name for name in names() if name not in ("runtime", "database")]))
    assert [(one.check, one.level) for one in found] == [
        ("runtime", Level.FAULT),
        ("database", Level.GOOD),
    ]
    assert "could not be looked at: FileNotFoundError" in found[0].words


def test_a_runtime_with_another_byte_is_a_fault(
    site: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert worst("runtime").level == Level.GOOD
    mine = tmp_path / "runtime"
    mine.mkdir()
    for file in site.PORTABLE_RUNTIME.iterdir():
        (mine / file.name).write_bytes(file.read_bytes())
    site.PORTABLE_RUNTIME = mine
    with (mine / "ort-wasm-simd-threaded.mjs").open("ab") as file:
        file.write(b"\n")
    assert worst("runtime").words.startswith("ort-wasm-simd-threaded.mjs of ")
    (mine / "ort-wasm-simd-threaded.mjs").unlink()
    assert worst("runtime").level == Level.FAULT
    monkeypatch.setattr(runtime, "ROOT_DIR", str(tmp_path / "none"))
    assert "does not start" in worst("runtime").words


def test_a_runtime_that_is_not_kept_is_told(site: Settings, tmp_path: Path) -> None:
    site.RUNTIMES_KEPT = tmp_path / "none"
    assert "runtime_add" in worst("runtime").remedy


def test_a_quorum_that_is_not_met_is_told_and_who_is_silent(
    site: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "nobody cosigns" in worst("witnesses").words
    site.WITNESS_POLICY.write_text("nonsense\n")
    assert "malformed" in worst("witnesses").words
    key = Ed25519PrivateKey.from_private_bytes(b"w" * 32).public_key()
    vkey = vkey_for("w.example.org", key, COSIGNATURE)
    line = f"witness wendy {vkey} http://127.0.0.1:1\nquorum wendy\n"
    site.WITNESS_POLICY.write_text(f"log {ledger.log_vkey()} {site.LEDGER_URL}\n{line}")
    assert worst("witnesses").level == Level.WARNING  # it may come yet
    assert any("every witness runs on this machine" in one.words for one in only("witnesses"))
    monkeypatch.setattr(programs, "SILENT_AFTER", timedelta())
    assert worst("witnesses").level == Level.FAULT
    assert worst("witnesses").remedy == "Silent: wendy. Ask who runs them."


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"DEBUG": True}, "DEBUG is on"),
        ({}, "DATABASE_URL is not set"),
        ({}, "CELERY_BROKER_URL is not set"),
        ({}, "LEDGER_ORIGIN is localhost"),
    ],
)
def test_what_suits_a_laptop_is_a_fault_where_others_come(
    change: dict[str, Any], words: str, site: Settings
) -> None:
    assert worst("settings").level == Level.GOOD
    for name, value in {**ABROAD, **change}.items():
        setattr(site, name, value)
    told = [one.words for one in only("settings") if one.level == Level.FAULT]
    assert any(words in one for one in told)
    assert "secure context" in worst("site").words
    assert worst("site").level == worst("mail").level == Level.FAULT


def test_a_site_by_https_is_a_secure_context_with_advice(site: Settings) -> None:
    site.SITE_URL, site.SITE_IS_LOCAL = "https://models.example.org", False
    assert {one.level for one in only("site")} == {Level.GOOD, Level.WARNING}
    assert "SECURE_PROXY_SSL_HEADER" in " ".join(one.remedy for one in only("site"))
    site.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    assert worst("mail").level == Level.GOOD


def test_pages_without_their_files_are_told(site: Settings) -> None:
    (site.STATIC_ROOT / "css").rmdir()
    assert worst("static").remedy == "Run `manage.py collectstatic`."


def test_the_command_says_all_and_ends_with_1_when_something_is_wrong(
    site: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    skip = ["executor", "worker"]
    call_command("doctor", skip=skip)
    told = capsys.readouterr().out
    assert "0 wrong, 2 to look at" in told
    assert "→ Go to the site by localhost" in told
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", skip=skip, strict=True)
    assert ended.value.code == 1
    with pytest.raises(SystemExit):
        call_command("doctor", skip=["worker"])
    capsys.readouterr()
    call_command("doctor", "--json", *(f"--skip={name}" for name in skip))
    said = json.loads(capsys.readouterr().out)
    assert said["well"] is True
    assert {one["level"] for one in said["findings"]} == {"good", "warning"}
    with pytest.raises(CommandError):
        call_command("doctor", "--skip=everything")


def test_a_machine_on_which_nothing_was_set_up_is_told_what_to_do(tmp_path: Path) -> None:
    done = run(tmp_path / "data", "manage.py", "doctor", "--skip=worker")
    assert done.returncode == 1, done.stderr
    assert "✗ database: does not answer" in done.stdout
    assert "· migrations: not looked at: database comes first" in done.stdout
    assert "Traceback" not in done.stderr
    assert run(tmp_path, "manage.py", "doctor", PORT="many").stderr.startswith("manage.py: PORT")
