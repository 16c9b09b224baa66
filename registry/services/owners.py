"""Owners come with accounts, and stay as tombstones when these are closed (`closing`).

What was signed and released stays: it is evidence.
"""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.utils import timezone

from registry.choices import Action, OwnerKind, TransferState
from registry.errors import NameTakenError, NotAllowedError
from registry.models import Membership, Model, Owner, ReservedName, Transfer
from registry.names import check_owner_name
from registry.rights import need
from registry.services import audit


def create_person(user: AbstractBaseUser) -> Owner:
    """Give `user` the owner of the same name.

    Raises:
        InvalidInputError: the name may not stand in an address.
        NameTakenError: another owner has it, or once had it.
    """
    return make(user, user.get_username(), OwnerKind.USER)


def make(user: AbstractBaseUser, name: str, kind: OwnerKind, title: str = "") -> Owner:
    """Make an owner for `user`; raises as `create_person`."""
    name = check_owner_name(name)
    if ReservedName.objects.filter(name__iexact=name).exists():
        raise NameTakenError(f"'{name}' was given out before.", name=name)
    holder = user.pk if kind == OwnerKind.USER else None
    try:
        with transaction.atomic():
            owner = Owner.objects.create(name=name, kind=kind, user_id=holder, title=title)
            audit.note(user, "owner.create", name, about=owner, kind=str(kind))
    except IntegrityError:
        raise NameTakenError(f"'{name}' is taken.", name=name) from None
    return owner


def need_self(user: AbstractBaseUser, action: Action = Action.MEMBERS) -> Owner:
    """Return the caller's own owner when their token, if any, may act for all that they are.

    Raises:
        NotAllowedError: a token of a lesser scope or with limits, or an account without a name.
    """
    own = own_of(user)
    need(user, action, own)
    return own


def own_of(user: AbstractBaseUser) -> Owner:
    """Return the caller's own owner; NotAllowedError for an account that was made without one."""
    own = Owner.objects.filter(user_id=user.pk).first()
    if own is None:
        raise NotAllowedError("This account has no owner name.")
    return own


# ------------------------------------------------------------------ the end


def bury(user: AbstractBaseUser, owner: Owner) -> None:
    """Leave a tombstone of `owner`, in the caller's transaction.

    What it has without a release goes with it, and no name is ever given out again.
    """
    now = timezone.now()
    held = Model.objects.select_for_update(no_key=True, of=("self",)).select_related("owner")
    for model in held.filter(owner=owner, deleted_at=None).order_by("pk"):
        if not model.releases.exists():
            bury_model(user, model, "its owner is gone")
    waiting = Transfer.objects.filter(state=TransferState.WAITING)
    for ended in (waiting.filter(source=owner), waiting.filter(target=owner)):
        ended.update(state=TransferState.CANCELLED, decided_at=now)
    Membership.objects.filter(owner=owner).delete()
    Owner.objects.filter(pk=owner.pk).update(deleted_at=now)
    ReservedName.objects.get_or_create(name=owner.name, defaults={"reason": "closed"})
    audit.note(user, "owner.delete", owner.name, about=owner)


def bury_model(user: AbstractBaseUser, model: Model, reason: str) -> None:
    """Leave a tombstone of `model`, in the caller's transaction."""
    Model.objects.filter(pk=model.pk).update(deleted_at=timezone.now())
    ReservedName.objects.get_or_create(name=model.full_name, defaults={"reason": reason})
    audit.note(user, "model.delete", model.full_name, about=model)
