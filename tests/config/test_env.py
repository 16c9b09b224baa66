"""The environment is read strictly, in one place."""

from __future__ import annotations

from pathlib import Path

import pytest

from config import env
from config.secret import secret_key


def test_a_secret_may_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "secret"))
    assert env.text("SECRET_KEY") == "from a file"


@pytest.mark.parametrize(("spelling", "value"), [("1", True), ("No", False), ("", True)])
def test_booleans_have_few_spellings(
    spelling: str, value: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEBUG", spelling)
    assert env.boolean("DEBUG", True) is value


def test_other_spellings_are_refused_with_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBUG", "maybe")
    monkeypatch.setenv("PORT", " 80")
    with pytest.raises(env.SettingError, match="DEBUG is 1, true"):
        env.boolean("DEBUG", False)
    with pytest.raises(env.SettingError, match="PORT is a whole number"):
        env.integer("PORT", 1)


def test_lists_are_split_at_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", "a.example, b.example,")
    assert env.words("ALLOWED_HOSTS", ()) == ["a.example", "b.example"]
    monkeypatch.setenv("ALLOWED_HOSTS", "")
    assert env.words("ALLOWED_HOSTS", ("c",)) == ["c"]


def test_the_secret_key_is_made_once_and_kept_to_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "django.secret"
    first = secret_key(path)
    assert secret_key(path) == first
    assert path.stat().st_mode & 0o077 == 0
    assert list(path.parent.iterdir()) == [path]
