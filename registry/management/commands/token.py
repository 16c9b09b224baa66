"""`manage.py token <user>`: print a new API token."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from registry.choices import TokenScope
from registry.errors import RegistryError
from registry.services import tokens
from registry.services.owners import create_person


class Command(BaseCommand):
    """Print a new API token of a user; it is shown this once."""

    help = "Print a new API token of a user. It is shown this once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="the user name")
        parser.add_argument("--create", action="store_true", help="make the user when absent")
        parser.add_argument(
            "--scope", choices=TokenScope.values, default=TokenScope.READ, help="default: read"
        )
        parser.add_argument("--name", default="manage.py token", help="what the token is for")

    def handle(self, *, user: str, create: bool, scope: str, name: str, **_: Any) -> None:
        users = get_user_model()
        try:
            with transaction.atomic():
                found = users.objects.filter(username=user).first()
                if found is None and not create:
                    raise CommandError(f"There is no user '{user}': --create makes one.")
                if found is None:
                    # Without a password: the account signs in once its owner has set one.
                    found = users.objects.create_user(user)
                    create_person(found)
                _, token = tokens.create(found, name=name, scope=scope)
        except RegistryError as error:
            raise CommandError(error.message) from error
        self.stdout.write(token)
