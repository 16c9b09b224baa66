"""Who reads the page."""

from __future__ import annotations

from collections.abc import Callable

from allauth.account.decorators import reauthentication_required
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from registry.models import Owner

View = Callable[..., HttpResponseBase]


def said_again(view: View) -> View:
    """Take a form only of who has just said again who they are; what they sent waits meanwhile."""
    guarded: View = reauthentication_required(allow_get=True)(view)
    return guarded


def signed_in(request: HttpRequest) -> AbstractBaseUser:
    """Return the account behind a request that `login_required` let through."""
    if not isinstance(request.user, AbstractBaseUser):
        raise PermissionDenied("The view of this address forgot `login_required`.")
    return request.user


def own_owner(request: HttpRequest) -> Owner | None:
    """Return the owner of that account; None for an account that was made without one."""
    return Owner.objects.filter(user_id=signed_in(request).pk).first()
