"""Who may know of a model, and who may have the files of a gated one.

Everybody reads the page and the card of a gated model; files and runs are for those whose request
was approved. Each change writes its row, its audit row and its letter in one transaction: COMMIT
POINT. A decision holds the request's row, so that of two at once the second is told of the first.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from registry.choices import AccessState, Action, Gate, Visibility
from registry.errors import ConflictError, InvalidInputError, UnknownRequestError
from registry.models import AccessRequest, Model
from registry.rights import need, role_in
from registry.services import audit, letters

MAX_REASON = 1_000
MAX_TERMS = 4_000


def set_visibility(
    user: AbstractBaseUser,
    model: Model,
    *,
    visibility: str,
    gate: str | None = None,
    terms: str | None = None,
) -> Model:
    """Say who may know of `model`, how requests are answered, and what who asks is told.

    What None stands for stays as it is. Requests stay too: they count again when the model is
    gated again.

    Raises:
        NotAllowedError: the caller may not change the model's settings.
        InvalidInputError: no such visibility or gate, or terms that are too long.
    """
    need(user, Action.SETTINGS, model)
    if visibility not in Visibility.values:
        raise InvalidInputError(
            f"Visibility is one of {', '.join(Visibility.values)}.", field="visibility"
        )
    with transaction.atomic():
        row = Model.objects.select_for_update(no_key=True, of=("self",)).get(pk=model.pk)
        need(user, Action.SETTINGS, row)
        before = _told(row)
        row.visibility = visibility
        row.gate = _check_gate(row.gate if gate is None else gate)
        row.gate_terms = _check_terms(row.gate_terms if terms is None else terms)
        row.save(update_fields=("visibility", "gate", "gate_terms", "updated_at"))
        audit.note(
            user, "model.visibility", row.full_name, about=row, before=before, after=_told(row)
        )
    return row


def _told(model: Model) -> dict[str, str]:
    return {"visibility": model.visibility, "gate": model.gate, "terms": model.gate_terms}


def _check_gate(gate: str) -> Gate:
    if gate not in Gate.values:
        raise InvalidInputError(f"A gate is one of {', '.join(Gate.values)}.", field="gate")
    return Gate(gate)


def _check_terms(terms: str) -> str:
    terms = terms.strip()
    if len(terms) > MAX_TERMS or "\0" in terms:
        raise InvalidInputError(f"Terms have at most {MAX_TERMS} characters.", field="terms")
    return terms


# ------------------------------------------------------------------ who asks


def ask(user: AbstractBaseUser, model: Model, *, reason: str) -> AccessRequest:
    """Ask for the files of `model`; asking again changes the reason of what waits.

    Raises:
        UnknownModelError: the caller may not know of the model.
        ConflictError: it is not gated, or they have the files, or they were declined.
        InvalidInputError: no reason, or a long one.
    """
    need(user, Action.READ, model)
    reason = reason.strip()
    if not reason or len(reason) > MAX_REASON or "\0" in reason:
        raise InvalidInputError(
            f"Say in 1 to {MAX_REASON} characters what it is for.", field="reason"
        )
    if model.visibility != Visibility.GATED or role_in(user, model.owner) is not None:
        raise ConflictError(f"The files of {model.full_name} need no request from you.")
    with transaction.atomic():
        # The model's row stands for one that may not be there yet: two requests at once wait.
        model = Model.objects.select_for_update(no_key=True, of=("self",)).get(pk=model.pk)
        row = AccessRequest.objects.filter(model=model, user_id=user.pk).first()
        if row is not None and row.state in (AccessState.APPROVED, AccessState.DECLINED):
            raise ConflictError(f"Your request was {row.state}.", state=str(row.state))
        again = row is not None and row.state == AccessState.WAITING
        row = row or AccessRequest(model=model, user_id=user.pk)
        row.reason, row.asked_at = reason, timezone.now()
        row.decided_at = row.decided_by = None
        row.state = AccessState.WAITING
        audit.note(user, "access.ask", model.full_name, about=model, reason=reason)
        if model.gate == Gate.AUTO:
            row.state, row.decided_at = AccessState.APPROVED, timezone.now()
            audit.note(None, "access.approve", model.full_name, about=model, asker=str(user))
        elif not again:
            _tell_owner(user, model, reason)
        row.save()
    return row


def _tell_owner(user: AbstractBaseUser, model: Model, reason: str) -> None:
    letters.write(
        letters.admins(model.owner),
        f"{user.get_username()} asks for {model.full_name}",
        f"{user.get_username()} asks for the files of {model.full_name}:\n\n"
        + "\n".join(f"> {line}" for line in reason.splitlines())
        + f"\n\nApprove or decline under {settings.SITE_URL}/models/{model.full_name}/access/",
    )


def withdraw(user: AbstractBaseUser, model: Model) -> AccessRequest:
    """Take one's own request back, or give up what was approved; asking again is possible.

    Raises:
        UnknownRequestError: there is none that waits or was approved.
    """
    with transaction.atomic():
        row = _held(model, user.pk)
        if row.state not in (AccessState.WAITING, AccessState.APPROVED):
            raise _none(model)
        row.state, row.decided_at = AccessState.WITHDRAWN, timezone.now()
        row.decided_by_id = user.pk
        row.save()
        audit.note(user, "access.withdraw", model.full_name, about=model)
    return row


# ------------------------------------------------------------------ who decides


def approve(user: AbstractBaseUser, model: Model, *, name: str) -> AccessRequest:
    """Let the person called `name`, who asked, have the files; raises as `decline`."""
    allowed = (AccessState.WAITING, AccessState.DECLINED)
    return _decide(user, model, name, allowed, AccessState.APPROVED)


def decline(user: AbstractBaseUser, model: Model, *, name: str) -> AccessRequest:
    """Refuse the request of the person called `name`, or take back what was approved.

    Raises:
        NotAllowedError: the caller may not change the model's settings.
        UnknownRequestError: they did not ask.
        ConflictError: it was decided so before, or taken back.
    """
    allowed = (AccessState.WAITING, AccessState.APPROVED)
    return _decide(user, model, name, allowed, AccessState.DECLINED)


def _decide(
    user: AbstractBaseUser,
    model: Model,
    name: str,
    allowed: tuple[AccessState, ...],
    state: AccessState,
) -> AccessRequest:
    need(user, Action.SETTINGS, model)
    asker = get_user_model().objects.filter(owner__name__iexact=name.replace("\0", "")).first()
    if asker is None:
        raise _none(model)
    with transaction.atomic():
        row = _held(model, asker.pk)
        if row.state not in allowed:
            raise ConflictError(f"This request was {row.state} before.", state=str(row.state))
        row.state, row.decided_at, row.decided_by_id = state, timezone.now(), user.pk
        row.save()
        verb = "access.approve" if state == AccessState.APPROVED else "access.decline"
        audit.note(user, verb, model.full_name, about=model, asker=asker.get_username())
        letters.write(
            [asker],
            f"Your request for {model.full_name} was {state}",
            f"{user.get_username()} {state} your request for the files of {model.full_name}.\n\n"
            f"The model: {settings.SITE_URL}/models/{model.full_name}/",
        )
    return row


def _held(model: Model, user_id: int) -> AccessRequest:
    row = (
        AccessRequest.objects.select_for_update(of=("self",))
        .filter(model=model, user_id=user_id)
        .first()
    )
    if row is None:
        raise _none(model)
    return row


def _none(model: Model) -> UnknownRequestError:
    return UnknownRequestError(
        f"There is no such request for {model.full_name}.", model=model.full_name
    )
