"""Organisations: names that several people share, each in a role.

Every change writes the membership and its audit row in one transaction: COMMIT POINT. Whatever
could take the last admin away locks the organisation's row first, so that two of them cannot leave
at once. An invitation gives no right until it is accepted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser, User
from django.db import transaction

from registry.choices import Action, MemberState, OwnerKind, Role
from registry.errors import (
    ConflictError,
    InvalidInputError,
    LastAdminError,
    TooLargeError,
    UnknownOwnerError,
    UnknownRequestError,
)
from registry.models import Membership, Owner
from registry.rights import need
from registry.services import audit, letters, owners

MAX_TITLE = 80
MAX_MEMBERS = 1_000
MAX_ADMINISTERED = 50


def create(user: AbstractBaseUser, *, name: str, title: str = "") -> Owner:
    """Make an organisation whose first admin is `user`.

    Raises:
        InvalidInputError, NameTakenError: as for a person's name; people and organisations share.
        TooLargeError: the caller is the admin of as many as one account may have.
    """
    owners.need_self(user)
    title = _check_title(title)
    mine = Membership.objects.filter(user_id=user.pk, role=Role.ADMIN, state=MemberState.MEMBER)
    if mine.count() >= MAX_ADMINISTERED:
        raise TooLargeError(
            f"One account is the admin of at most {MAX_ADMINISTERED} organisations.",
            limit=MAX_ADMINISTERED,
        )
    with transaction.atomic():
        owner = owners.make(user, name, OwnerKind.ORGANISATION, title)
        Membership.objects.create(
            owner=owner, user_id=user.pk, role=Role.ADMIN, state=MemberState.MEMBER
        )
    return owner


def describe(user: AbstractBaseUser, owner: Owner, *, title: str) -> Owner:
    """Give `owner` a name in full."""
    need(user, Action.SETTINGS, owner)
    before, owner.title = owner.title, _check_title(title)
    with transaction.atomic():
        owner.save(update_fields=("title",))
        audit.note(user, "owner.title", owner.name, about=owner, before=before, title=owner.title)
    return owner


def delete(user: AbstractBaseUser, owner: Owner) -> None:
    """Delete an organisation; its name, and those of its models, are never given out again.

    Raises:
        ConflictError: it has a model with releases, which stay for ever: give it away first.
    """
    need(user, Action.DELETE, owner)
    _need_organisation(owner)
    with _locked(owner):
        kept = owner.models.filter(deleted_at=None, releases__isnull=False).first()
        if kept is not None:
            raise ConflictError(
                f"{kept.full_name} has releases, which stay for ever: give it to another owner "
                "first.",
                model=kept.full_name,
            )
        owners.bury(user, owner)


# ------------------------------------------------------------------ members


def invite(user: AbstractBaseUser, owner: Owner, *, name: str, role: str) -> Membership:
    """Invite the person called `name`; inviting again changes the role that waits for them.

    Raises:
        NotAllowedError: the caller may not say who is a member.
        UnknownOwnerError: there is no such person.
        ConflictError: they are a member.
    """
    need(user, Action.MEMBERS, owner)
    _need_organisation(owner)
    role, person = _check_role(role), find_person(name)
    called = person.get_username()
    with _locked(owner):
        row = owner.memberships.filter(user=person).first()
        if row is not None and row.state == MemberState.MEMBER:
            raise ConflictError(f"{called} is a member.", member=called)
        if row is None and owner.memberships.count() >= MAX_MEMBERS:
            raise TooLargeError(
                f"An organisation has at most {MAX_MEMBERS} members.", limit=MAX_MEMBERS
            )
        row, _ = Membership.objects.update_or_create(
            owner=owner,
            user=person,
            defaults={"role": role, "invited_by_id": user.pk},
        )
        audit.note(user, "member.invite", owner.name, about=owner, member=called, role=role)
        letters.write(
            [person],
            f"{user.get_username()} invites you to {owner.name}",
            f"{user.get_username()} would like you to be a {role} of {owner.name}.\n\n"
            f"Accept or decline under {settings.SITE_URL}/settings/organisations/",
        )
    return row


def accept(user: AbstractBaseUser, owner: Owner) -> Membership:
    """Take the invitation of `owner`; UnknownRequestError when there is none."""
    owners.need_self(user)
    with transaction.atomic():
        row = _invitation(user, owner)
        row.state = MemberState.MEMBER
        row.save(update_fields=("state",))
        audit.note(user, "member.accept", owner.name, about=owner, role=row.role)
    return row


def decline(user: AbstractBaseUser, owner: Owner) -> None:
    """Refuse the invitation of `owner`; UnknownRequestError when there is none."""
    owners.need_self(user)
    with transaction.atomic():
        _invitation(user, owner).delete()
        audit.note(user, "member.decline", owner.name, about=owner)


def _invitation(user: AbstractBaseUser, owner: Owner) -> Membership:
    row = (
        Membership.objects.select_for_update(of=("self",))
        .filter(owner=owner, user_id=user.pk, state=MemberState.INVITED, owner__deleted_at=None)
        .first()
    )
    if row is None:
        raise UnknownRequestError(f"{owner.name} has not invited you.", owner=owner.name)
    return row


def set_role(user: AbstractBaseUser, owner: Owner, *, name: str, role: str) -> Membership:
    """Change what a member, or who is invited, may do.

    Raises:
        NotAllowedError: the caller may not say who is a member.
        UnknownOwnerError: no such member.
        LastAdminError: it would leave nobody who may.
    """
    need(user, Action.MEMBERS, owner)
    role = _check_role(role)
    with _locked(owner):
        row = _member(owner, name)
        before = row.role
        row.role = role
        row.save(update_fields=("role",))
        _need_admin(owner)
        audit.note(
            user, "member.role", owner.name, about=owner, member=name, before=before, role=role
        )
    return row


def remove(user: AbstractBaseUser, owner: Owner, *, name: str) -> None:
    """Take a member out, or take an invitation back; everybody may take themselves out.

    Raises:
        NotAllowedError: somebody else, and the caller may not say who is a member.
        UnknownOwnerError: no such member.
        LastAdminError: it would leave nobody who may.
    """
    own = Owner.objects.filter(user_id=user.pk, name__iexact=name).first()
    if own is None:
        need(user, Action.MEMBERS, owner)
    else:
        owners.need_self(user)
    with _locked(owner):
        row = _member(owner, name)
        row.delete()
        _need_admin(owner)
        verb = "member.leave" if own else "member.remove"
        audit.note(user, verb, owner.name, about=owner, member=name, role=row.role)


@contextmanager
def _locked(owner: Owner) -> Iterator[None]:
    """Hold the row of `owner` until the change is committed; nothing happens to a deleted one."""
    with transaction.atomic():
        row = Owner.objects.select_for_update(no_key=True).filter(pk=owner.pk, deleted_at=None)
        if row.first() is None:
            raise UnknownOwnerError(f"There is no {owner.name} any more.", owner=owner.name)
        yield


def _member(owner: Owner, name: str) -> Membership:
    row = (
        owner.memberships.select_for_update(of=("self",))
        .select_related("user")
        .filter(user__owner__name__iexact=name.replace("\0", ""))
        .first()
    )
    if row is None:
        raise UnknownOwnerError(f"{owner.name} has no member '{name[:96]}'.", member=name[:96])
    return row


def _need_admin(owner: Owner) -> None:
    admins = owner.memberships.filter(
        role=Role.ADMIN, state=MemberState.MEMBER, user__is_active=True
    )
    if not admins.exists():
        raise LastAdminError(
            f"{owner.name} needs an admin: make another member one first.", owner=owner.name
        )


# ------------------------------------------------------------------ checks


def find_person(name: str) -> User:
    """Return the account of that name; UnknownOwnerError when there is none."""
    named = get_user_model().objects.filter(owner__name__iexact=name.replace("\0", ""))
    person = named.filter(is_active=True, owner__deleted_at=None).first()
    if person is None:
        raise UnknownOwnerError(f"There is no person '{name[:96]}'.", field="name", name=name[:96])
    return person


def _need_organisation(owner: Owner) -> None:
    if owner.kind != OwnerKind.ORGANISATION:
        raise InvalidInputError(f"{owner.name} is a person.", field="owner", value=owner.name)


def _check_role(role: str) -> Role:
    if role not in Role.values:
        raise InvalidInputError(
            f"A role is one of {', '.join(Role.values)}.", field="role", value=role[:80]
        )
    return Role(role)


def _check_title(title: str) -> str:
    title = title.strip()
    if len(title) > MAX_TITLE or not title.isprintable():
        raise InvalidInputError(
            f"A name in full has at most {MAX_TITLE} printable characters.", field="title"
        )
    return title
