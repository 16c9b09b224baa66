"""Letters: what somebody has to hear although they are not looking.

The letter is a row, written with the change it tells of (COMMIT POINT). The sweeper sends what is
due and marks it; rows that another sweeper holds are left to it. A crash between sending and
marking sends the letter twice, never not at all; a mail server that refuses is asked again, later
each time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta
from smtplib import SMTPException

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser, User
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from registry.choices import MemberState, OwnerKind, Role
from registry.models import Letter, Owner

BATCH = 50
FIRST_WAIT_S, LONGEST_WAIT_S = 30, 6 * 3600
_FOOT = "\n\nThis was sent because you have an account at {site}.\n"
log = logging.getLogger(__name__)


def admins(owner: Owner) -> QuerySet[User]:
    """Return the active accounts that decide for `owner`: the person, or the admins."""
    people = get_user_model().objects.filter(is_active=True)
    if owner.kind == OwnerKind.USER:
        return people.filter(owner=owner)
    return people.filter(
        memberships__owner=owner,
        memberships__role=Role.ADMIN,
        memberships__state=MemberState.MEMBER,
    )


def write(people: Iterable[AbstractBaseUser], subject: str, body: str) -> None:
    """Write a letter to each of `people` who has an address, in the caller's transaction."""
    now = timezone.now()
    text = body.strip() + _FOOT.format(site=settings.SITE_URL)
    Letter.objects.bulk_create(
        Letter(user_id=person.pk, subject=subject[:200], body=text, next_at=now)
        for person in people
        if getattr(person, "email", "")
    )


def send_due() -> int:
    """Send the letters that are due, and return how many went out."""
    due = Letter.objects.filter(sent_at=None, next_at__lte=timezone.now()).order_by("next_at")
    return sum(_send(pk) for pk in due.values_list("pk", flat=True)[:BATCH])


def _send(pk: int) -> bool:
    with transaction.atomic():
        row = (
            Letter.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("user")
            .filter(pk=pk, sent_at=None)
            .first()
        )
        if row is None:  # another sweeper has it
            return False
        try:
            if row.user.email:
                to = [row.user.email]
                EmailMessage(row.subject, row.body, settings.DEFAULT_FROM_EMAIL, to).send()
        except (OSError, SMTPException) as error:
            row.attempts += 1
            wait = min(FIRST_WAIT_S * 2 ** min(row.attempts, 20), LONGEST_WAIT_S)
            row.next_at = timezone.now() + timedelta(seconds=wait)
            row.save(update_fields=("attempts", "next_at"))
            log.warning("letter %s was not taken: %s", row.pk, error)
            return False
        row.sent_at = timezone.now()
        row.save(update_fields=("sent_at",))
    return True
