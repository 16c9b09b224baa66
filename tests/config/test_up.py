"""The accounts that a first start makes."""

from __future__ import annotations

import pytest
from django.contrib.auth import authenticate, get_user_model
from rich.console import Console

from config.management.commands.up import Command
from registry.models import Owner


def test_the_operators_password_is_told_once_as_soon_as_there_is_an_account(
    db: None, capsys: pytest.CaptureFixture[str]
) -> None:
    command = Command()
    command.console = Console(highlight=False, soft_wrap=True)
    command.accounts()
    password = capsys.readouterr().out.split(" / ")[1].split()[0]
    user = authenticate(username="operator", password=password)
    assert user is not None
    assert user.is_active
    command.accounts()
    assert capsys.readouterr().out == ""


def test_mallory_cannot_sign_up_as_the_examples_while_they_are_published(db: None) -> None:
    command = Command()
    command.console = Console(quiet=True)
    command.accounts()
    assert set(Owner.objects.values_list("name", flat=True)) == {"operator", "examples"}
    examples = get_user_model().objects.get(username="examples")
    assert not examples.has_usable_password()
