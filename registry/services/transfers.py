"""Models that change hands: asked by who may give, done when the new owner takes.

COMMIT POINT: the transaction that changes the owner, keeps the old name as one that leads to the
model for ever (`FormerName`, `ReservedName`) and writes the audit rows. Before it the model is the
old owner's alone, after it the new owner's; there is nothing to recover. It locks both owners' rows
in the order of their ids, then the model's, as making a model locks its owner: nobody takes the old
name in between, and a commit that is under way is the old owner's or is refused.

Trusted publishers are the old owner's machines: they are removed. Keys stay with their owner, so
that the next release needs a key of the new one; what was signed before keeps its signer.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from registry.choices import Action, TransferState
from registry.errors import (
    ConflictError,
    InvalidInputError,
    NameTakenError,
    UnknownOwnerError,
    UnknownRequestError,
)
from registry.models import (
    Blob,
    FormerName,
    Model,
    Owner,
    ReservedName,
    RevisionFile,
    Transfer,
    TrustedPublisher,
)
from registry.rights import can, need, unknown_model
from registry.services import audit, letters, quotas

_GONE = "This transfer was answered or taken back before."


def offer(user: AbstractBaseUser, model: Model, *, to: str) -> Transfer:
    """Offer `model` to the owner called `to`; done at once where the caller decides for both.

    Raises:
        NotAllowedError: the caller may not give it away.
        UnknownOwnerError: there is no such owner.
        InvalidInputError: they have it.
        NameTakenError: they have, or had, another model of this name.
        ConflictError: another offer waits.
    """
    need(user, Action.TRANSFER, model)
    target = Owner.objects.filter(name__iexact=to.replace("\0", ""), deleted_at=None).first()
    if target is None:
        raise UnknownOwnerError(f"There is no owner '{to[:96]}'.", field="to", name=to[:96])
    with transaction.atomic():
        model = _locked(model.pk, target)
        need(user, Action.TRANSFER, model)
        if target.pk == model.owner_id:
            raise InvalidInputError(f"{target.name} has this model.", field="to")
        _check_name(model, target)
        try:
            with transaction.atomic():
                row = Transfer.objects.create(
                    model=model, source=model.owner, target=target, asked_by_id=user.pk
                )
        except IntegrityError:
            raise ConflictError(
                "This model is offered to somebody: take that back first.", model=model.full_name
            ) from None
        audit.note(user, "transfer.offer", model.full_name, about=model, to=target.name)
        if can(user, Action.MEMBERS, target):
            _move(user, row, model)
        else:
            audit.note(user, "transfer.offer", model.full_name, about=target, to=target.name)
            letters.write(
                letters.admins(target),
                f"{model.full_name} is offered to {target.name}",
                f"{user.get_username()} offers the model {model.full_name} to {target.name}.\n\n"
                f"Accept or decline under {settings.SITE_URL}/settings/organisations/",
            )
    return row


def accept(user: AbstractBaseUser, transfer_id: int) -> Transfer:
    """Take an offered model.

    Raises:
        UnknownRequestError: no offer to an owner that the caller decides for.
        ConflictError: it was answered, or the model has gone elsewhere.
        NameTakenError: the new owner has another model of this name by now.
        TooLargeError, TooManyError: the new owner has no room for it.
    """
    row = _find(transfer_id)
    if not can(user, Action.MEMBERS, row.target):
        raise _unknown(transfer_id)
    with transaction.atomic():
        model = _locked(row.model_id, row.target)
        row = _waiting(row.pk)
        if model.owner_id != row.source_id or not can(user, Action.MEMBERS, row.target):
            raise ConflictError(_GONE)
        _check_name(model, row.target)
        _move(user, row, model)
    return row


def decline(user: AbstractBaseUser, transfer_id: int) -> Transfer:
    """Refuse an offered model; raises as `accept`."""
    row = _find(transfer_id)
    if not can(user, Action.MEMBERS, row.target):
        raise _unknown(transfer_id)
    return _end(user, row, TransferState.DECLINED, "transfer.decline")


def cancel(user: AbstractBaseUser, transfer_id: int) -> Transfer:
    """Take an offer back; UnknownRequestError unless the caller may give the model away."""
    row = _find(transfer_id)
    if not can(user, Action.TRANSFER, row.model):
        raise _unknown(transfer_id)
    return _end(user, row, TransferState.CANCELLED, "transfer.cancel")


# ------------------------------------------------------------------ steps


def _find(transfer_id: int) -> Transfer:
    row = (
        Transfer.objects.select_related("model__owner", "source", "target")
        .filter(pk=transfer_id)
        .first()
    )
    if row is None:
        raise _unknown(transfer_id)
    return row


def _unknown(transfer_id: int) -> UnknownRequestError:
    return UnknownRequestError("There is no such transfer.", transfer=transfer_id)


def _waiting(transfer_id: int) -> Transfer:
    row = (
        Transfer.objects.select_for_update(of=("self",))
        .select_related("model__owner", "source", "target")
        .get(pk=transfer_id)
    )
    if row.state != TransferState.WAITING:
        raise ConflictError(_GONE, state=str(row.state))
    return row


def _end(user: AbstractBaseUser, row: Transfer, state: TransferState, verb: str) -> Transfer:
    with transaction.atomic():
        row = _waiting(row.pk)
        row.state, row.decided_at = state, timezone.now()
        row.save(update_fields=("state", "decided_at"))
        audit.note(user, verb, row.model.full_name, about=row.model, to=row.target.name)
    return row


def _locked(model_id: int, target: Owner) -> Model:
    """Return the model, whose row and whose owners' rows are held until the commit."""
    source = Model.objects.values_list("owner_id", flat=True).get(pk=model_id)
    held = Owner.objects.select_for_update(no_key=True).filter(pk__in=(source, target.pk))
    if any(owner.deleted_at is not None for owner in held.order_by("pk")):
        raise ConflictError("One of the two owners is gone.")
    rows = Model.objects.select_for_update(no_key=True, of=("self",)).select_related("owner")
    model = rows.get(pk=model_id)
    if model.deleted_at is not None:
        raise unknown_model(model.full_name)
    return model


def _check_name(model: Model, target: Owner) -> None:
    name = f"{target.name}/{model.name}"
    if target.models.filter(name__iexact=model.name).exists():
        raise NameTakenError(f"'{name}' exists already.", name=name)
    former = FormerName.objects.filter(name__iexact=name).first()
    reserved = ReservedName.objects.filter(name__iexact=name).exists()
    # A model may come home to a name that it had itself.
    if former.model_id != model.pk if former else reserved:
        raise NameTakenError(f"'{name}' was given out before.", name=name)


def _contents(model: Model) -> QuerySet[RevisionFile, str]:
    return RevisionFile.objects.filter(revision__model=model).values_list("blob_id", flat=True)


def _move(user: AbstractBaseUser, row: Transfer, model: Model) -> None:
    now, before = timezone.now(), model.full_name
    quotas.need_model(row.target)
    quotas.charge(row.target, Blob.objects.filter(pk__in=_contents(model)))
    row.state, row.decided_at = TransferState.ACCEPTED, now
    row.save(update_fields=("state", "decided_at"))
    FormerName.objects.get_or_create(name=before, defaults={"model": model})
    ReservedName.objects.get_or_create(name=before, defaults={"reason": "moved"})
    # The old owner reads that it went, the new one that it came.
    audit.note(user, "transfer.accept", before, about=model, to=row.target.name)
    model.owner = row.target
    model.save(update_fields=("owner", "updated_at"))
    row.model = model
    TrustedPublisher.objects.filter(model=model, removed_at=None).update(removed_at=now)
    audit.note(user, "model.arrive", model.full_name, about=model, before=before)
    letters.write(
        letters.admins(row.source),
        f"{before} is {model.full_name} now",
        f"{user.get_username()} completed the transfer. The old address leads to the new one:\n"
        f"{settings.SITE_URL}/models/{model.full_name}/",
    )
