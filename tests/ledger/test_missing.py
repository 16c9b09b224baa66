"""A command that finds no database, no tables or no key says so in words, and fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from config.env import environment
from ledger import services as ledger

COMMANDS = ("ledger_fsck", "sequencer", "executor")


def manage(command: str, data: Path, database: str) -> subprocess.CompletedProcess[str]:
    """Run a command as an operator does, in a process of its own."""
    return subprocess.run(
        [sys.executable, "manage.py", command],
        cwd=settings.BASE_DIR,
        env=environment(DATA=str(data), DATABASE_URL=database, DATABASE_POOL="0"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_database_a_command_says_so(command: str, tmp_path: Path) -> None:
    place = str(tmp_path).replace("/", "%2F")
    done = manage(command, tmp_path, f"postgresql://nobody@{place}/none")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "the database does not answer" in done.stderr


def test_without_tables_a_command_names_the_one_to_run(tmp_path: Path) -> None:
    empty = settings.DATABASE_URL.rpartition("/")[0] + "/template1"
    done = manage("ledger_fsck", tmp_path, empty)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "run `manage.py migrate` first" in done.stderr


@pytest.mark.django_db
@pytest.mark.parametrize("command", ["ledger_fsck", "executor", "register_executor"])
def test_before_the_log_is_open_a_command_says_so(command: str) -> None:
    with pytest.raises(CommandError, match=r"not open yet|did not answer"):
        call_command(command)


def test_a_log_whose_key_is_lost_is_not_given_another(opened: None) -> None:
    assert ledger.log_vkey()
    settings.LEDGER_KEY.unlink()
    with pytest.raises(CommandError, match="The log's key cannot be read"):
        call_command("sequencer")
    assert not settings.LEDGER_KEY.exists()
