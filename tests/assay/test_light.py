"""`assay verify` without typer: the same options, the same answers, and typer for the rest."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer.main

from assay import cli
from assay.cli import COMMANDS, app, light, main
from assay.cli.checking import Question, parse_age
from assay.errors import MisuseError
from tests.assay.registering import vectors

RECEIPT = "receipt.json"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reader's folder, in which they pinned what they trust."""
    for name, data in vectors().items():
        (tmp_path / name).write_bytes(data)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASSAY_TRUST", str(tmp_path))
    return tmp_path


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["assay", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def typed() -> dict[str, Any]:
    """Return the options of `assay verify` as typer has them."""
    group: Any = typer.main.get_command(app)
    return {item.opts[0]: item for item in group.commands["verify"].params if item.opts}


def test_the_two_readers_have_the_same_options() -> None:
    options = {name: item for name, item in typed().items() if name.startswith("-")}
    assert {**light.FLAGS, **{name: field for name, (field, _) in light.VALUES.items()}} == {
        name: item.name for name, item in options.items()
    }
    flags = {name for name, item in options.items() if item.is_flag}
    assert flags == set(light.FLAGS)
    defaults = Question(receipt=RECEIPT)
    for name, item in options.items():
        assert getattr(defaults, item.name) == item.default, name
    paths = {name for name, (_, kind) in light.VALUES.items() if kind is Path}
    assert paths == {name for name, item in options.items() if item.type.name == "path"}


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ([RECEIPT], {}),
        (["--json", RECEIPT], {"as_json": True}),
        ([RECEIPT, "--key", "-"], {"key": Path("-")}),
        ([RECEIPT, "--type=a=b", "--offline"], {"type_": "a=b", "offline": True}),
        ([RECEIPT, "--max-age", "7d"], {"max_age": "7d"}),
        ([RECEIPT, "--max-age="], {"max_age": ""}),
    ],
)
def test_a_plain_line_is_read_without_typer(line: list[str], fields: dict[str, Any]) -> None:
    assert light.read_line(line) == Question(receipt=RECEIPT, **fields)


@pytest.mark.parametrize(
    "line",
    [
        [],
        [""],
        ["--json"],
        ["--help"],
        [RECEIPT, "--help"],
        [RECEIPT, "-x"],
        [RECEIPT, "--"],
        [RECEIPT, RECEIPT],
        [RECEIPT, "--key"],
        [RECEIPT, "--key", "a", "--key", "b"],
        [RECEIPT, "--json=yes"],
        [RECEIPT, "--kee", "a"],
    ],
)
def test_anything_else_is_left_to_typer(line: list[str]) -> None:
    assert light.read_line(line) is None


def test_both_give_the_same_verdict(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["verify", RECEIPT, "--blob", "output.tensors", "--input", "input.tensors", "--json"]
    assert call(monkeypatch, *lines) == 0
    quick = capsys.readouterr().out
    monkeypatch.setattr(light, "answer", lambda _: None)
    assert call(monkeypatch, *lines) == 0
    assert capsys.readouterr().out == quick
    assert '"verdict":"verified"' in quick


def test_a_refusal_has_its_exit_code(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "verify", RECEIPT, "--blob", "input.tensors") == 1
    assert "the output is another one" in capsys.readouterr().err
    assert call(monkeypatch, "verify", RECEIPT, "--kee") == 2
    assert "No such option" in capsys.readouterr().err
    assert call(monkeypatch, "keygen", "--help") == 0


@pytest.mark.parametrize(
    ("error", "code"), [(BrokenPipeError(), 1), (KeyboardInterrupt(), 130)], ids=["gone", "ctrl-c"]
)
def test_a_reader_who_goes_away_is_no_error_of_ours(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def interrupted(_: Question) -> None:
        raise error

    monkeypatch.setattr(light, "check", interrupted)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", sys.stdout)
        assert call(patch, "verify", RECEIPT) == code


def test_a_check_of_files_imports_neither_typer_nor_the_network(folder: Path) -> None:
    program = (
        "import sys\n"
        "from assay.cli import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    heavy = {'typer', 'rich', 'click', 'http.client', 'subprocess', 'asyncio'}\n"
        "    print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "verify", RECEIPT, "--blob", "output.tensors"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert (done.returncode, done.stderr) == (0, "[]\n")


def test_the_freshest_options_reach_the_verdict(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_767_225_661.5)
    more = ("--registration", "registration.json", "--checkpoint", "checkpoint", "--offline")
    assert call(monkeypatch, "verify", RECEIPT, *more, "--max-age", "1m") == 0
    told = capsys.readouterr().out
    assert "as its own entry in the log says" in told
    assert "60 s before now, 60 s allowed; revocations are known to 3 leaves" in told
    assert call(monkeypatch, "verify", RECEIPT, "--max-age", "59") == 1
    assert "the proof is too old" in capsys.readouterr().err


def test_options_that_cannot_be_heeded_are_usage(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "other").write_bytes(b"log2" + (folder / "checkpoint").read_bytes()[6:])
    for words, line in (
        ("is an address", ("http://127.0.0.1/receipt", "--offline")),
        ("is an address", (RECEIPT, "--registration", "http://127.0.0.1/", "--offline")),
        ("a number of seconds", (RECEIPT, "--max-age", "soon")),
        ("which the trusted root does not name", (RECEIPT, "--checkpoint", "other")),
    ):
        assert call(monkeypatch, "verify", *line) == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", None), ("90", 90), ("90s", 90), ("2m", 120), ("1h", 3600), ("1d", 86_400)],
)
def test_an_age_may_have_a_unit(text: str, seconds: int | None) -> None:
    assert parse_age(text) == seconds
    with pytest.raises(MisuseError, match="15m, 24h, 7d"):
        parse_age(f"{text}w")


def test_every_command_of_the_table_is_there() -> None:
    group: Any = typer.main.get_command(app)
    assert list(group.commands) == list(COMMANDS)
    assert len(group.commands) == len(COMMANDS)
    assert [name for name in COMMANDS if group.commands[name].name != name] == []
    assert group.commands["verify"] is group.commands["verify"]
    with pytest.raises(AttributeError, match="no attribute 'application'"):
        _ = cli.application
