"""What reaches a terminal: colours where it wants them, plain lines everywhere else."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

import pytest

from assay.cli.output import Output


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


def test_a_terminal_gets_colours(terminal: Terminal) -> None:
    with redirect_stdout(terminal):
        output = Output(as_json=False)
        output.line("Verified", style="bold green")
        output.line("plain")
        output.line("of a style that is not known", style="blink")
    assert terminal.getvalue().splitlines() == [
        "\x1b[1;32mVerified\x1b[0m",
        "plain",
        "of a style that is not known",
    ]


@pytest.mark.parametrize(
    ("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "")], ids=str
)
def test_who_asks_to_be_spared_gets_none(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with redirect_stdout(terminal):
        Output(as_json=False).line("Verified", style="bold green")
    assert terminal.getvalue() == "Verified\n"


def test_what_a_stranger_wrote_moves_no_cursor(terminal: Terminal) -> None:
    with redirect_stdout(terminal):
        Output(as_json=False).line("\x1b[2J\x07gone", style="bold")
    unknown = "\N{REPLACEMENT CHARACTER}"
    assert terminal.getvalue() == f"\x1b[1m{unknown}[2J{unknown}gone\x1b[0m\n"
