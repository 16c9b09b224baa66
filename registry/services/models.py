"""Making models."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction

from registry.choices import Visibility
from registry.errors import InvalidInputError, NameTakenError, NotAllowedError
from registry.models import Model, Owner, ReservedName
from registry.names import check_name
from registry.rights import need_write
from registry.services import audit, quotas


def create(
    user: AbstractBaseUser,
    *,
    name: str,
    owner: str | None = None,
    visibility: str = Visibility.PUBLIC,
) -> Model:
    """Make an empty model under `owner`, by default the caller's own name.

    Raises:
        InvalidInputError: the name may not stand in an address, or no such visibility.
        NotAllowedError: the owner is somebody else.
        NameTakenError: the owner has a model of that name, in whatever case, or once had it.
        TooManyError: the owner has as many models as it may.
    """
    check_name(name, "model name")
    if visibility not in Visibility.values:
        raise InvalidInputError(
            f"Visibility is one of {', '.join(Visibility.values)}.", field="visibility"
        )
    found = _owner(user, owner)
    full_name = f"{found.name}/{name}"
    try:
        with transaction.atomic():
            # A model that leaves this owner, and its name behind, holds the row too.
            held = Owner.objects.select_for_update(no_key=True).get(pk=found.pk)
            need_write(user, held)
            quotas.need_model(held)
            if ReservedName.objects.filter(name__iexact=full_name).exists():
                raise NameTakenError(f"'{full_name}' was given out before.", name=full_name)
            model = Model.objects.create(owner=found, name=name, visibility=visibility)
            audit.note(user, "model.create", full_name, about=model, visibility=visibility)
    except IntegrityError:
        raise NameTakenError(f"'{full_name}' exists already.", name=full_name) from None
    return model


def _owner(user: AbstractBaseUser, name: str | None) -> Owner:
    """Return the owner to create under; a name of nobody and of somebody else answer alike."""
    if name is None:
        found = Owner.objects.filter(user_id=user.pk).first()
    else:
        found = Owner.objects.filter(name__iexact=name.replace("\0", "")).first()
    if found is None:
        raise NotAllowedError("You may create models under your own name only.", owner=name)
    need_write(user, found)
    return found
