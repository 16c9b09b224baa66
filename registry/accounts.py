"""allauth's hooks: a person's user name is also their name in addresses; what a sign-in leaves.

A new password ends every other session, one that was reset by a letter ends them all.
"""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from registry.errors import RegistryError
from registry.models import Owner
from registry.names import check_owner_name
from registry.services import sessions
from registry.services.owners import create_person
from registry.session_store import SIGN_IN


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


def on_sign_in(request: Any, user: Any, **_: Any) -> None:
    """Write into the session on what device it began."""
    agent = request.META.get("HTTP_USER_AGENT", "")
    request.session[SIGN_IN] = {
        "device": sessions.device_words(agent),
        "at": timezone.now().isoformat(),
    }


def on_new_password(request: Any, user: Any, **_: Any) -> None:
    """End the sessions that began with the old password."""
    sessions.end_others(user, request.session.session_key)
