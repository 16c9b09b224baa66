"""Bars and waits are for people at a terminal; nothing of them goes into a file or a pipe."""

from __future__ import annotations

import pytest

from assay.cli.progress import byte_progress, progress, waiting


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize("terminal", [False, True])
def test_a_person_sees_how_far_it_is_and_a_program_does_not(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,
    quiet: bool,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1" if terminal else "")
    with byte_progress("fetching", 10, quiet=quiet) as more, progress("checking", 1, quiet=quiet):
        more(10)
    with waiting("the log", quiet=quiet):
        pass
    said = capsys.readouterr()
    assert said.out == ""
    assert ("the log" in said.err) == (terminal and not quiet)
