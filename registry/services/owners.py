"""Owners come with accounts."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction

from registry.choices import OwnerKind
from registry.errors import NameTakenError
from registry.models import AuditEvent, Owner, ReservedName
from registry.names import check_owner_name


def create_person(user: AbstractBaseUser) -> Owner:
    """Give `user` the owner of the same name.

    Raises:
        InvalidInputError: the name may not stand in an address.
        NameTakenError: another owner has it, or once had it.
    """
    name = check_owner_name(user.get_username())
    if ReservedName.objects.filter(name__iexact=name).exists():
        raise NameTakenError(f"'{name}' was given out before.", name=name)
    try:
        with transaction.atomic():
            owner = Owner.objects.create(name=name, kind=OwnerKind.USER, user_id=user.pk)
            AuditEvent.objects.create(user_id=user.pk, action="owner.create", target=name)
    except IntegrityError:
        raise NameTakenError(f"'{name}' is taken.", name=name) from None
    return owner
