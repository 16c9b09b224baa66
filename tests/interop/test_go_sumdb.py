"""Go's own log client reads our files: signatures, every entry's place, and growth."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

from assay.checkpoint import Checkpoint as Tree
from assay.note import ED25519, Note, render, sign_line, vkey_for
from assay.tiles import Tile
from ledger import services as ledger
from ledger.keys import load_log_key
from ledger.models import Checkpoint
from tests.ledger.builders import append_many, sequencer
from tests.ledger.witness import Witness

pytestmark = [pytest.mark.stock, pytest.mark.django_db, pytest.mark.xdist_group("sumdb")]
SIZES = (1, 3, 255, 256, 257, 300, 700)


@pytest.fixture
def log(wanda: Witness) -> Path:
    """A log that grew over the edges of tiles, each step published and cosigned."""
    at, leader = 0, sequencer()
    for size in SIZES:
        append_many(range(at, size))
        while leader.cycle():
            pass
        at = size
    folder: Path = settings.LEDGER_DIR
    return folder


def older(folder: Path) -> list[Path]:
    """Write down every checkpoint that was ever signed."""
    paths = []
    for checkpoint in Checkpoint.objects.order_by("size"):
        path = folder / f"checkpoint.{checkpoint.size}"
        path.write_bytes(bytes(checkpoint.note))
        paths.append(path)
    return paths


def run(program: Path, log: Path, vkey: str, *others: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, log, vkey, *others], capture_output=True, text=True, check=False, timeout=60
    )


def test_sumdb_finds_every_entry_and_each_checkpoint_a_prefix_of_the_next(
    sumdb: Path, log: Path, tmp_path: Path
) -> None:
    checkpoints = older(tmp_path)
    done = run(sumdb, log, ledger.log_vkey(), *checkpoints)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"OK {SIZES[-1]} entries, {len(SIZES) + 1} older checkpoints\n"
    assert len((log / "checkpoint").read_bytes().split(b"\xe2\x80\x94")) == 3, "two signatures"


def test_sumdb_sees_one_flipped_bit_in_a_tile_or_in_a_bundle(sumdb: Path, log: Path) -> None:
    vkey = ledger.log_vkey()
    last = Tile(level=None, index=SIZES[-1] // 256, width=SIZES[-1] % 256).path
    for path in ("tile/0/000", "tile/entries/000", last):
        good = (log / path).read_bytes()
        (log / path).write_bytes(good[:40] + bytes([good[40] ^ 1]) + good[41:])
        assert run(sumdb, log, vkey).returncode == 1, path
        (log / path).write_bytes(good)
    assert run(sumdb, log, vkey).returncode == 0


def test_sumdb_refuses_a_checkpoint_that_the_named_key_did_not_sign(sumdb: Path, log: Path) -> None:
    mallory = Ed25519PrivateKey.from_private_bytes(b"m" * 32).public_key()
    done = run(sumdb, log, str(vkey_for(settings.LEDGER_ORIGIN, mallory, ED25519)))
    assert done.returncode == 1
    assert "no verifiable signatures" in done.stderr


def test_sumdb_refuses_mallorys_second_history(sumdb: Path, log: Path, tmp_path: Path) -> None:
    """She has the log's key and signs a tree that the log never had."""
    text = Tree(origin=settings.LEDGER_ORIGIN, size=300, root=b"\1" * 32).text
    line = sign_line(text, settings.LEDGER_ORIGIN, load_log_key(settings.LEDGER_KEY))
    fork = tmp_path / "checkpoint.fork"
    fork.write_bytes(render(Note(text=text, lines=(line,))))
    done = run(sumdb, log, ledger.log_vkey(), fork)
    assert done.returncode == 1
    assert "checkpoint.fork" in done.stderr
