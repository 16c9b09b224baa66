"""Who reads the page."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest

from registry.models import Owner


def signed_in(request: HttpRequest) -> AbstractBaseUser:
    """Return the account behind a request that `login_required` let through."""
    assert isinstance(request.user, AbstractBaseUser)  # noqa: S101 (login_required saw to it)
    return request.user


def own_owner(request: HttpRequest) -> Owner | None:
    """Return the owner of that account; None for an account that was made without one."""
    return Owner.objects.filter(user_id=signed_in(request).pk).first()
