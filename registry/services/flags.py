"""Reports by readers, with an account or without: this is wrong, somebody should look.

1. The form carries a sealed stamp of the time at which it was shown. A report that comes sooner
   than a person reads, or later than a day, is refused.
2. A field that people do not see stays empty; who fills it is thanked, and nothing is kept.
3. The reader may know of the thing: a private model answers like one that is not there.
4. One address, and one account, sends at most `REPORT_RATE` in an hour; the same about the same
   thing is one report.
5. COMMIT POINT: the row. A crash before it keeps nothing; a repetition finds the row.

Of an address only a keyed digest is kept, for a day, to count by.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core import signing
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import salted_hmac

from registry import executions, selectors
from registry.choices import Category, ReportState, Target
from registry.errors import InvalidInputError, TooManyReportsError
from registry.models import Report, Revision
from registry.rights import Caller, fetchable
from registry.services import moderation_targets as targets
from registry.services.locks import hold_address
from registry.services.moderation import check_text

MIN_TEXT, MAX_TEXT = 10, 2_000
LEAST_S, MOST_S = 3, 24 * 3600
_SALT = "registry.report"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a reader sends; `trap` is the field that people do not see."""

    kind: Target
    name: str
    category: Category
    text: str
    email: str = ""
    stamp: str = ""
    trap: str = ""


def find(user: Caller, kind: Target, name: str) -> targets.Found:
    """Return what a report would be about.

    Raises:
        RegistryError: there is none that `user` may know of, or it is taken down already.
    """
    if kind in (Target.MODEL, Target.RELEASE):
        selectors.find_model(name.partition("@")[0], user)
    elif kind == Target.FILE:
        selectors.public_blob(name.removeprefix("sha256:"))
    found = targets.find(kind, name)
    if kind == Target.EXECUTION and not _knows_run(user, UUID(found.target)):
        raise InvalidInputError("There is no such execution.", field="name")
    return found


def _knows_run(user: Caller, execution: UUID) -> bool:
    """Tell whether `user` ran it, or may run the model that it is of."""
    (ran,) = executions.find([execution], [])
    if isinstance(user, AbstractBaseUser) and ran.caller_id == user.pk:
        return True
    return Revision.objects.filter(fetchable(user, "model__"), pk=ran.revision).exists()


def stamp(now: datetime | None = None) -> str:
    """Return the sealed time at which a form was shown."""
    return signing.Signer(salt=_SALT).sign(str(int((now or timezone.now()).timestamp())))


def is_fresh(stamp: str, now: datetime | None = None) -> bool:
    """Tell whether a form with this stamp may still be sent."""
    return _age_s(stamp, now or timezone.now()) <= MOST_S


def _age_s(stamp: str, now: datetime) -> float:
    try:
        return now.timestamp() - int(signing.Signer(salt=_SALT).unsign(stamp))
    except signing.BadSignature:
        return float("inf")


def origin_of(address: str) -> str:
    """Return what stands for a client's address while it is counted; of IPv6 the /64 counts.

    Who has no address that can be read is counted with all others who have none.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return salted_hmac(_SALT, "", algorithm="sha256").hexdigest()
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:  # as a socket for both spells IPv4
            return origin_of(str(parsed.ipv4_mapped))
        address = str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))
    return salted_hmac(_SALT, address, algorithm="sha256").hexdigest()


def report(
    user: Caller, given: Given, *, address: str, now: datetime | None = None
) -> Report | None:
    """Take a report; None when the trap was sprung.

    Raises:
        InvalidInputError: steps 1, or no words.
        RegistryError: step 3.
        TooManyReportsError: step 4.
    """
    now = now or timezone.now()
    _check_stamp(given, now)
    words = check_text(given.text, "text", MIN_TEXT, MAX_TEXT)
    if given.trap:
        return None
    found = find(user, given.kind, given.name)
    person = user if isinstance(user, AbstractBaseUser) else None
    origin = origin_of(address)
    sender = Q(origin=origin)
    if person is not None:
        sender |= Q(user_id=person.pk)
    with transaction.atomic():
        hold_address(f"/moderation/report/{origin}")
        mine = Report.objects.filter(sender)
        same = mine.filter(kind=found.kind, target=found.target, state=ReportState.WAITING).first()
        if same is not None:
            return same
        if mine.filter(created_at__gt=now - timedelta(hours=1)).count() >= settings.REPORT_RATE:
            raise TooManyReportsError(
                f"More than {settings.REPORT_RATE} reports came from you in an hour: come back "
                "later.",
                limit=settings.REPORT_RATE,
            )
        forget(now)
        return Report.objects.create(
            kind=found.kind,
            target=found.target,
            name=found.name,
            category=given.category,
            text=words,
            user_id=None if person is None else person.pk,
            email=given.email,
            origin=origin,
        )


def _check_stamp(given: Given, now: datetime) -> None:
    age_s = _age_s(given.stamp, now)
    if age_s < LEAST_S:
        raise InvalidInputError(
            "That was quick: read it once more, and send it again.", field="stamp"
        )
    if age_s > MOST_S:
        raise InvalidInputError("This form was open for a day: send it again.", field="stamp")


def forget(now: datetime | None = None) -> None:
    """Drop digests of addresses that are older than a day; the sweeper does, and each report."""
    before = (now or timezone.now()) - timedelta(days=1)
    old = Report.objects.filter(created_at__lt=before).exclude(origin="")
    old.update(origin="")


def waiting_about(report: Report) -> list[Report]:
    """Return the reports about the same thing that wait, this one among them, oldest first."""
    rows = Report.objects.filter(kind=report.kind, target=report.target, state=ReportState.WAITING)
    return list(rows.select_related("user").order_by("created_at", "pk")[:100])
