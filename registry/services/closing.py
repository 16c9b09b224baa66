"""The end of an account: asked for, waited for, and then done so that the ledger stays true.

Three steps, each one transaction (COMMIT POINT):

1. `ask` writes the wish, an audit row and a letter that says how to take it back. Everything works
   as before. Whatever would refuse the end is found now: the end is tried, and undone. A crash
   before the commit leaves nothing; who asks again after it is told that the account waits.
2. `cancel` deletes the wish, any time before the day. A crash before the commit leaves it; who
   cancels again after it is told that nothing waits.
3. `sweep`, after `WAIT`, does it: models go to the organisation that was named or stay as they are,
   names are never given out again, and what is personal is erased. A crash before the commit leaves
   the account as it was, and the next sweep does the same again; two sweeps do not meet, because
   each holds the row of the wish. What has come in the way meanwhile ends the wish, not the
   account, and a letter says so.

What stays: the user name, which statements in the ledger carry; released models with everything
that was signed; the audit log. What goes: addresses, full name, password, passkeys, sessions,
tokens, memberships, copies of keys, letters, who sent a report, and what other applications keep
(`belongings`).
"""

from __future__ import annotations

import logging
from datetime import timedelta

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser, User
from django.db import transaction
from django.utils import timezone

from registry import selectors
from registry.belongings import keepers
from registry.choices import Action, MemberState, OwnerKind, Role, TokenScope, TransferState
from registry.errors import (
    ConflictError,
    LastAdminError,
    NotAllowedError,
    RegistryError,
    UnknownOwnerError,
    UnknownRequestError,
)
from registry.models import (
    AccessRequest,
    ApiToken,
    Closing,
    KeyBackup,
    Letter,
    Membership,
    Model,
    Owner,
    Report,
    Session,
    Transfer,
)
from registry.rights import can, token_of
from registry.services import audit, letters, owners, transfers

WAIT = timedelta(days=7)
BATCH = 20
log = logging.getLogger(__name__)

# ------------------------------------------------------------------ the wish


def wish_of(user: AbstractBaseUser) -> Closing | None:
    """Return the wish of `user` that waits, if there is one."""
    return Closing.objects.select_related("to").filter(user_id=user.pk).first()


def heirs(user: AbstractBaseUser) -> list[Owner]:
    """Return the organisations that could get the models of `user`: those they are an admin of."""
    mine = Membership.objects.filter(user_id=user.pk, role=Role.ADMIN, state=MemberState.MEMBER)
    rows = Owner.objects.filter(pk__in=mine.values("owner_id"), deleted_at=None)
    return list(rows.order_by("name"))


def ask(user: AbstractBaseUser, *, to: str = "") -> Closing:
    """Let the account of `user` be closed after `WAIT`; its models go to the organisation `to`.

    Raises:
        NotAllowedError: a token asks that may not do everything.
        UnknownOwnerError: there is no organisation `to` that the caller is an admin of.
        LastAdminError: an organisation would have no admin.
        ConflictError: it was asked for already.
        RegistryError: a model cannot go to `to`, whatever `transfers.offer` says of it.
    """
    _need_own(user)
    heir = _heir(user, to) if to else None
    with transaction.atomic():
        # One wish at a time: the account's row is held.
        get_user_model().objects.select_for_update(no_key=True).get(pk=user.pk)
        if wish_of(user) is not None:
            raise ConflictError("This account waits to be closed already.")
        _try(user, heir)
        row = Closing.objects.create(user_id=user.pk, to=heir, due_at=timezone.now() + WAIT)
        audit.note(user, "account.close", user.get_username(), to=heir.name if heir else "")
        letters.write(
            [user],
            f"Your account {user.get_username()} will be closed on {row.due_at:%d %B %Y}",
            f"Somebody who was signed in as {user.get_username()} asked for this account to be "
            f"closed. It will be, for ever, on {row.due_at:%d %B %Y at %H:%M} UTC.\n\n"
            f"Take it back until then: {settings.SITE_URL}/settings/account/\n"
            "If it was not you, change your password too, and end all other sessions:\n"
            f"{settings.SITE_URL}/settings/sessions/",
        )
    return row


def cancel(user: AbstractBaseUser) -> None:
    """Take the wish back.

    Raises:
        UnknownRequestError: nothing waits.
    """
    _need_own(user)
    with transaction.atomic():
        if not Closing.objects.filter(user_id=user.pk).delete()[0]:
            raise UnknownRequestError("This account does not wait to be closed.")
        audit.note(user, "account.keep", user.get_username())


def _need_own(user: AbstractBaseUser) -> Owner:
    """Return the caller's own owner. Whoever is suspended may leave too.

    Raises:
        NotAllowedError: a token of a lesser scope or with limits, or an account without a name.
    """
    token = token_of(user)
    if token is not None and (token.scope != TokenScope.ADMIN or token.limited):
        raise NotAllowedError("This takes a session, or a token of scope 'admin' without limits.")
    return owners.own_of(user)


def _heir(user: AbstractBaseUser, name: str) -> Owner:
    found = selectors.find_owner(name)
    if found is None or found.kind != OwnerKind.ORGANISATION or found not in heirs(user):
        raise UnknownOwnerError(
            f"You are no admin of an organisation '{name[:96]}'.", field="to", name=name[:96]
        )
    return found


def _try(user: AbstractBaseUser, heir: Owner | None) -> None:
    """Do everything, and undo it: what is in the way is told today, and not in a week."""
    with transaction.atomic():
        close(user, heir)
        transaction.set_rollback(True)


# ------------------------------------------------------------------ the day


def sweep() -> int:
    """Close the accounts whose day has come; return how many were closed.

    What nobody foresaw is raised once the others had their turn: none waits behind another's fault.
    """
    due = Closing.objects.filter(due_at__lte=timezone.now()).order_by("due_at")
    closed, faults = 0, list[Exception]()
    for pk in list(due.values_list("pk", flat=True)[:BATCH]):
        try:
            closed += _end(pk)
        except Exception as error:
            log.exception("the wish %d could not be fulfilled", pk)
            faults.append(error)
    if faults:
        raise faults[0]
    return closed


def _end(pk: int) -> bool:
    with transaction.atomic():
        held = Closing.objects.select_for_update(skip_locked=True, of=("self",))
        row = held.select_related("user", "to").filter(pk=pk).first()
        if row is None:  # taken back, or another sweep has it
            return False
        try:
            with transaction.atomic():
                close(row.user, row.to)
        except RegistryError as error:
            _refused(row, error)
            return False
        row.delete()
    return True


def _refused(row: Closing, error: RegistryError) -> None:
    log.warning("the account %d is not closed: %s", row.user_id, error.code)
    audit.note(row.user, "account.keep", row.user.get_username(), because=error.code)
    letters.write(
        [row.user],
        f"Your account {row.user.get_username()} is not closed",
        f"It should have been closed today, and something has come in the way: {error.message}\n\n"
        f"Nothing was changed. Ask again: {settings.SITE_URL}/settings/account/",
    )
    row.delete()


def close(user: AbstractBaseUser, heir: Owner | None = None) -> None:
    """Close the account of `user` for ever, now; `heir` gets their models.

    Raises:
        LastAdminError: an organisation would have no admin; the detail names it.
        NotAllowedError: the caller is no admin of `heir` any more, or a token asks.
        RegistryError: a model cannot go there.
    """
    own = _need_own(user)
    with transaction.atomic():
        for owner in _administered(user):
            if not _others(owner, user):
                raise LastAdminError(
                    f"You are the last admin of {owner.name}: make another one first, or delete "
                    "the organisation.",
                    owner=owner.name,
                )
        if heir is not None:
            _hand_over(user, own, heir)
        owners.bury(user, own)
        Owner.objects.filter(pk=own.pk).update(title="")
        for keeper in keepers():
            keeper.forget(user.pk)
        _erase(user, own)


def _hand_over(user: AbstractBaseUser, own: Owner, heir: Owner) -> None:
    if not can(user, Action.MEMBERS, heir):
        raise NotAllowedError(f"You are no admin of {heir.name} any more.", owner=heir.name)
    waiting = Transfer.objects.filter(source=own, state=TransferState.WAITING)
    waiting.update(state=TransferState.CANCELLED, decided_at=timezone.now())
    for model in Model.objects.select_related("owner").filter(owner=own, deleted_at=None):
        transfers.offer(user, model, to=heir.name)


def _erase(user: AbstractBaseUser, own: Owner) -> None:
    """Delete what is personal; the row itself stays, for the audit log and for what was signed."""
    for rows in (Membership, AccessRequest, ApiToken, EmailAddress, Authenticator, Session, Letter):
        rows.objects.filter(user_id=user.pk).delete()
    KeyBackup.objects.filter(key__owner=own).delete()
    Report.objects.filter(user_id=user.pk).update(user=None, email="")
    row: User = get_user_model().objects.get(pk=user.pk)
    row.groups.clear()
    row.user_permissions.clear()
    row.is_active = row.is_staff = row.is_superuser = False
    row.email = row.first_name = row.last_name = ""
    row.last_login = None
    row.set_unusable_password()
    row.save()


def _administered(user: AbstractBaseUser) -> list[Owner]:
    """Return the organisations that `user` is an admin of, locked in one order."""
    mine = Membership.objects.filter(user_id=user.pk, role=Role.ADMIN, state=MemberState.MEMBER)
    rows = Owner.objects.select_for_update(no_key=True).filter(pk__in=mine.values("owner_id"))
    return list(rows.order_by("pk"))


def _others(owner: Owner, user: AbstractBaseUser) -> bool:
    admins = Membership.objects.filter(owner=owner, role=Role.ADMIN, state=MemberState.MEMBER)
    return admins.exclude(user_id=user.pk).exists()
