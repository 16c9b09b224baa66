"""API tokens: shown once, kept as a digest."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from registry.choices import TokenScope
from registry.errors import InvalidInputError
from registry.models import ApiToken
from registry.services import audit


def create(
    user: AbstractBaseUser, *, name: str, scope: str = TokenScope.READ
) -> tuple[ApiToken, str]:
    """Make a token of `user`; the text that is returned beside the row is never shown again.

    Raises:
        InvalidInputError: no such scope, or a name that is empty or longer than 80 characters.
    """
    if scope not in TokenScope.values:
        raise InvalidInputError(
            f"A scope is one of {', '.join(TokenScope.values)}.", field="scope", value=scope[:80]
        )
    if not name.strip() or len(name) > 80:
        raise InvalidInputError("A token's name has 1 to 80 characters.", field="name")
    with transaction.atomic():
        row, token = ApiToken.objects.create(user, name=name.strip(), scope=scope)
        audit.note(user, "token.create", row.token_key, name=row.name, scope=scope)
    return row, str(token)


def revoke(user: AbstractBaseUser, digest: str) -> bool:
    """Delete a token of `user`; False when they have none of that digest."""
    with transaction.atomic():
        row = ApiToken.objects.filter(user_id=user.pk, digest=digest).first()
        if row is None:
            return False
        audit.note(user, "token.revoke", row.token_key, name=row.name)
        row.delete()
    return True
