"""A runtime is its bytes: what a receipt names stays runnable, and nothing runs under its name."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from assay.digests import sha256_hex
from assay.errors import UnavailableError
from inference import runtimes
from inference.executor.runtime import FILES, load_runtime
from tests.inference.executor.models import Revision, add, floats
from tests.inference.executor.running import RUNTIME, start_supervisor


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """Another version of the runtime: the same program with another comment, other bytes."""
    folder = tmp_path / "older"
    folder.mkdir()
    for name in FILES:
        shutil.copy(RUNTIME / name, folder / name)
    loader = folder / "ort.wasm.min.mjs"
    loader.write_bytes(loader.read_bytes() + b"\n// an older build\n")
    return folder


def kept_after(folder: Path) -> list[str]:
    runtimes.add(folder)
    return [one.runtime.digest for one in runtimes.installed()]


def test_what_was_once_in_use_stays_listed_and_served(older: Path, client: Client) -> None:
    digests = kept_after(older)
    assert digests == [load_runtime(RUNTIME).digest, load_runtime(older).digest]
    listed = client.get("/.well-known/assay/runtimes").json()["runtimes"]
    assert [one["digest"]["sha256"] for one in listed] == digests
    for file in load_runtime(older).files:
        answer = client.get(f"/runtimes/{digests[1]}/{file.name}")
        assert sha256_hex(answer.getvalue()) == file.sha256


def test_keeping_the_current_one_lists_it_once(settings: Settings) -> None:
    assert len(kept_after(settings.PORTABLE_RUNTIME)) == 1
    assert len(kept_after(settings.PORTABLE_RUNTIME)) == 1


def test_after_an_upgrade_the_old_runtime_is_still_found(
    older: Path, settings: Settings, tmp_path: Path
) -> None:
    runtimes.add(older)
    old = load_runtime(older).digest
    shutil.rmtree(older)
    found = runtimes.find(old)
    assert found is not None
    assert found.folder == settings.RUNTIMES_KEPT / old
    assert runtimes.find("0" * 64) is None


def test_a_file_that_was_changed_takes_the_runtime_out(older: Path, settings: Settings) -> None:
    digest = runtimes.add(older).runtime.digest
    damaged = settings.RUNTIMES_KEPT / digest / FILES[0]
    damaged.write_bytes(damaged.read_bytes() + b" ")
    assert runtimes.find(digest) is None
    runtimes.add(older)  # and a good copy brings it back
    assert runtimes.find(digest) is not None


def test_what_a_crash_left_half_copied_is_nobodys_runtime(older: Path, settings: Settings) -> None:
    digest = load_runtime(older).digest
    half = settings.RUNTIMES_KEPT / f".{digest}.new"
    half.mkdir(parents=True)
    (half / FILES[0]).write_bytes(b"half")
    assert [one.runtime.digest for one in runtimes.installed()] == [load_runtime(RUNTIME).digest]
    assert runtimes.add(older).folder.name == digest
    assert not half.exists()


def test_the_command_prints_the_digest_and_refuses_what_is_no_runtime(
    older: Path, tmp_path: Path
) -> None:
    said = io.StringIO()
    call_command("runtime_add", str(older), stdout=said)
    assert said.getvalue().split()[0] == load_runtime(older).digest
    with pytest.raises(CommandError, match="not added"):
        call_command("runtime_add", str(tmp_path))


def test_a_source_that_changes_while_it_is_copied_is_not_kept(
    older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = runtimes._copy

    def copy_and_spoil(source: Path, names: list[str], target: Path) -> None:
        copy(source, names, target)
        (target / names[0]).write_bytes(b"another")

    monkeypatch.setattr(runtimes, "_copy", copy_and_spoil)
    with pytest.raises(UnavailableError, match="changed"):
        runtimes.add(older)


def test_an_executor_runs_an_old_runtime_when_it_is_asked_by_digest(older: Path) -> None:
    old = load_runtime(older)
    running = start_supervisor(arguments=["--runtime", f"{RUNTIME},{older}", "--slots", "1"])
    try:
        client = running.client()
        assert client.status().slots == 1  # the old one costs nothing until somebody asks
        revision = Revision.of(add())
        note = running.log.checkpoint()
        asked = revision.request(note, floats("x", 1), runtime=old.digest)
        assert client.infer(asked, revision.read).outputs == (floats("y", 2),)
        assert client.status().slots == 2
    finally:
        running.stop()
