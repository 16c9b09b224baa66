"""allauth's hooks: a person's user name is also their name in addresses."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.core.exceptions import ValidationError
from django.db import transaction

from registry.errors import RegistryError
from registry.models import Owner
from registry.names import check_owner_name
from registry.services.owners import create_person


def validate_username(value: str) -> None:
    """Refuse a user name that cannot be an owner's name, with the rule in words."""
    try:
        check_owner_name(value)
    except RegistryError as error:
        raise ValidationError(error.message) from error
    if Owner.objects.filter(name__iexact=value).exists():
        raise ValidationError("This name is taken.")


USERNAME_VALIDATORS = [validate_username]


class Adapter(DefaultAccountAdapter):
    """Make the owner in the transaction that makes the account."""

    def save_user(self, request: Any, user: Any, form: Any, commit: bool = True) -> Any:
        """Save the account and its owner together, or neither."""
        with transaction.atomic():
            saved = super().save_user(request, user, form, commit)
            if commit:
                create_person(saved)
        return saved
