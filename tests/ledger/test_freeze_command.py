"""`manage.py ledger_freeze`: it asks, commits, waits, and says how the log ended."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.core.management import CommandError, call_command

from assay.checkpoint import Checkpoint as Tree
from assay.digests import sha256
from assay.note import COSIGNATURE, Note, render, sign_line, vkey_for
from assay.policy import PolicyKey
from ledger import services as ledger
from ledger.choices import LeaderState
from ledger.keys import load_log_key
from ledger.leadership import begin_term, tell
from ledger.models import Checkpoint, Log
from ledger.services.freeze import ABANDONED, freeze
from ledger.storage import log_storage
from tests.flush import triggers_off
from tests.ledger.builders import append_all, sequence, sequencer
from tests.ledger.succession import FIRST, NEXT
from tests.ledger.witness import Witness, trust, write_policy


def run(*options: str) -> str:
    out = io.StringIO()
    call_command("ledger_freeze", *options, stdout=out)
    return out.getvalue()


def refused(*options: str) -> tuple[int, str]:
    """Run the command, which must fail; return its exit code and what it said."""
    with pytest.raises(CommandError) as caught:
        run(*options)
    return caught.value.returncode, str(caught.value)


def typing(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def frozen() -> bool:
    return Log.objects.get().frozen_at is not None


def test_the_operator_types_the_origin_and_reads_how_the_log_ended(
    opened: None, wanda: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_all(range(2))
    sequence()
    typing(monkeypatch, f"{FIRST}\n")
    said = run("--successor", NEXT)
    assert "nobody can undo that" in said
    head = ledger.newest_checkpoint()
    assert f"size       2\n  root       {head.root.hex()}\n" in said
    assert "witnesses  1 of 1 signed (1 needed): wanda" in said
    assert f"The log {NEXT} goes on: set LEDGER_ORIGIN, LEDGER_URL, and LEDGER_KEY" in said
    assert "to the path of a new file" in said


@pytest.mark.parametrize("typed", ["", "\n", "yes\n", "LOCALHOST\n"])
def test_who_types_anything_else_changes_nothing(
    opened: None, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    typing(monkeypatch, typed)
    assert refused() == (1, "Nothing was changed: the origin was not typed.")
    assert not frozen()


def test_a_log_that_is_frozen_is_only_waited_for(
    opened: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_all(range(1))
    freeze()
    typing(monkeypatch, "")
    code, said = refused("--wait", "0")
    assert (code, "1 entries wait for their place; no sequencer runs" in said) == (3, True)
    assert "Run this command again" in said
    sequence()
    said = run()
    assert "none is asked: that this was the last tree, only this site says" in said
    assert "goes on" not in said


def test_a_policy_that_asks_for_nobody_is_told_so(
    opened: None, wanda: Witness, policy_path: Path
) -> None:
    trust(policy_path, wanda, quorum="none")
    append_all(range(1))
    sequence()
    assert "1 of 1 signed (the policy needs none): wanda" in run("--yes")
    other = vkey_for("willem", Ed25519PrivateKey.generate().public_key(), COSIGNATURE)
    write_policy(policy_path, {"willem": PolicyKey(vkey=other)}, quorum="none")
    assert "0 of 1 signed (the policy needs none): nobody" in run()


def test_a_missing_quorum_is_exit_code_3_and_the_log_stays_frozen(
    opened: None, wanda: Witness
) -> None:
    wanda.hang.clear()
    append_all(range(1))
    sequence()
    code, said = refused("--yes", "--wait", "0")
    assert code == 3
    assert "0 of 1 witnesses cosigned the last checkpoint, which is no quorum (1 needed)" in said
    assert frozen()
    wanda.hang.set()
    sequence()
    assert "1 of 1 signed" in run()


def test_a_sequencer_that_stopped_or_is_held_is_named_with_its_reason(opened: None) -> None:
    append_all(range(1))
    term = begin_term(FIRST)
    tell(FIRST, term, LeaderState.HELD, "the disk is nearly full")
    code, said = refused("--yes", "--wait", "0")
    assert (code, "the sequencer is held: the disk is nearly full" in said) == (3, True)
    tell(FIRST, term, LeaderState.STOPPED, "a tile holds other bytes")
    code, said = refused("--wait", "600")  # nothing to wait for
    assert (code, "the sequencer is stopped: a tile holds other bytes" in said) == (3, True)


def test_a_last_checkpoint_that_is_not_made_or_not_shown_yet_is_waited_for(opened: None) -> None:
    append_all(range(1))
    leader = sequencer()
    page = log_storage().get("checkpoint")
    leader.cycle()
    log_storage().replace("checkpoint", page)
    tell(FIRST, Log.objects.get().term, LeaderState.LEADING)
    code, said = refused("--yes", "--wait", "0")
    assert (code, "readers do not see the last checkpoint yet. Run" in said) == (3, True)
    with triggers_off():  # as after a crash between the commit point and the signature
        Checkpoint.objects.filter(size=1).delete()
    code, said = refused("--wait", "0")
    assert (code, "the newest checkpoint covers 0 of 1 entries. Run" in said) == (3, True)


def test_an_abandoned_log_is_left_as_it_is(opened: None, monkeypatch: pytest.MonkeyPatch) -> None:
    append_all(range(1))
    sequence()
    append_all(range(1, 3))
    typing(monkeypatch, "")
    assert refused("--abandon")[0] == 1  # asked for, too
    said = run("--abandon", "--yes")
    assert "its checkpoint covers 1 entries, and 2 have no place in it" in said
    assert ledger.log_state().reason == ABANDONED
    code, said = refused()
    assert (code, ABANDONED in said) == (3, True)


def test_a_log_that_is_complete_is_not_said_to_have_stopped(opened: None) -> None:
    assert "covers 0 entries, and 0 have no place" in run("--abandon", "--yes")
    assert ledger.log_state().state == "absent"


@pytest.mark.django_db
def test_where_no_log_is_open_nothing_is_frozen() -> None:
    code, said = refused("--yes")
    assert (code, "Nothing was changed: The log is not open yet" in said) == (1, True)


def test_a_successor_that_is_no_origin_is_refused(opened: None) -> None:
    code, said = refused("--yes", "--successor", "https://b.example.org/")
    assert (code, "Nothing was changed" in said) == (1, True)
    assert not frozen()


def test_a_database_that_was_restored_is_exit_code_3(opened: None) -> None:
    """The page shows what the log signed later than the rows know."""
    text = Tree(origin=FIRST, size=9, root=sha256(b"later")).text
    line = sign_line(text, FIRST, load_log_key(settings.LEDGER_KEY))
    log_storage().replace("checkpoint", render(Note(text=text, lines=(line,))))
    code, said = refused("--yes")
    assert (code, "Its end cannot be seen: A checkpoint of 9 entries is published" in said) == (
        3,
        True,
    )
    assert frozen()
