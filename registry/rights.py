"""Who may do what: the one table of rights, asked by every service and selector."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Q

from registry.choices import Visibility
from registry.errors import NotAllowedError
from registry.models import Model, Owner

Caller = AbstractBaseUser | AnonymousUser | None


def may_write(user: Caller, owner: Owner) -> bool:
    """Tell whether `user` may add to what `owner` has."""
    return user is not None and user.is_authenticated and owner.user_id == user.pk


def may_read(user: Caller, model: Model) -> bool:
    """Tell whether `user` may know of `model`; of a deleted one nobody may."""
    if model.deleted_at is not None:
        return False
    return model.visibility == Visibility.PUBLIC or may_write(user, model.owner)


def need_write(user: Caller, owner: Owner) -> None:
    """Raise NotAllowedError unless `user` may add to what `owner` has."""
    if not may_write(user, owner):
        raise NotAllowedError(f"Only {owner.name} may do this.", owner=owner.name)


def readable(user: Caller, prefix: str = "") -> Q:
    """Return the condition for models that `user` may know of; `prefix` leads to the model."""
    there = Q(**{f"{prefix}deleted_at": None})
    public = Q(**{f"{prefix}visibility": Visibility.PUBLIC})
    if user is None or not user.is_authenticated:
        return there & public
    return there & (public | Q(**{f"{prefix}owner__user_id": user.pk}))
