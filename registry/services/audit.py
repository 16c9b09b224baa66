"""One audit row per mutation, written in the mutation's own transaction.

The row names whose change it was (`owner`, and `model` where there is one): they read it, under
`/settings/activity/`, on the model's own page and in the API. A change that nobody is told to own
is its account's.
"""

from __future__ import annotations

import re
from typing import Any

from django.contrib.auth.models import AbstractBaseUser

from registry.models import AuditEvent, Key, Model, Owner, Revision
from registry.rights import token_of
from registry.signals import changed

_REVISION = re.compile(r"[0-9a-f]{40}")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


def note(
    user: AbstractBaseUser | None,
    action: str,
    target: str,
    *,
    about: Owner | Model | None = None,
    **data: Any,
) -> None:
    """Record that `user` (None: the site itself) did `action` to `target`.

    `about` is whose change it was; without it, it is looked for by `target`: the full name of a
    model, a revision, a key, else the account's own owner.
    """
    found = about or _about(target) or _own(user)
    token = token_of(user)
    event = AuditEvent.objects.create(
        user_id=None if user is None else user.pk,
        action=action,
        target=target[:300],
        owner_id=found.owner_id if isinstance(found, Model) else found.pk if found else None,
        model_id=found.pk if isinstance(found, Model) else None,
        token=token.prefix if token else "",
        data=data,
    )
    changed.send(AuditEvent, event=event)


def _about(target: str) -> Owner | Model | None:
    if "/" in target:
        owner, _, name = target.partition("/")
        return Model.objects.filter(owner__name=owner, name=name).first()
    if _REVISION.fullmatch(target):
        revision = Revision.objects.select_related("model").filter(pk=target).first()
        return revision.model if revision else None
    if _FINGERPRINT.fullmatch(target):
        key = Key.objects.select_related("owner").filter(pk=target).first()
        return key.owner if key else None
    return None


def _own(user: AbstractBaseUser | None) -> Owner | None:
    return None if user is None else Owner.objects.filter(user_id=user.pk).first()
