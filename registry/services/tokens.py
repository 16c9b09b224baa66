"""API tokens: shown once, kept as a digest.

Each change writes the token's row and its audit row in one transaction: COMMIT POINT. A token whose
text was lost in a crash after it is worth nothing to anybody: its owner deletes it in the list.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone
from knox.crypto import hash_token

from registry import selectors
from registry.choices import TokenScope
from registry.errors import InvalidInputError, NotAllowedError, TooLargeError, UnknownOwnerError
from registry.models import ApiToken, Model, Owner, TokenLimit
from registry.rights import role_in, token_of
from registry.services import audit, letters

MAX_TOKENS = 100
MAX_LIMITS = 50
DAYS, MAX_DAYS = 90, 366
MAX_LEAKED = 20


def create(
    user: AbstractBaseUser,
    *,
    name: str,
    scope: str = TokenScope.READ,
    days: int = DAYS,
    owners: Iterable[str] = (),
    models: Iterable[str] = (),
) -> tuple[ApiToken, str]:
    """Make a token of `user`; the text that is returned beside the row is never shown again.

    It ends after `days`. `owners` and `models`, by name, are all that it reaches beyond what is
    public; none means whatever the account reaches.

    Raises:
        InvalidInputError: no such scope, a name that is empty or longer than 80 characters, days
            beyond 1 to 366, or too many limits.
        UnknownOwnerError, UnknownModelError: a limit that the caller has no part in.
        NotAllowedError: a token may not make this one.
        TooLargeError: the account has as many tokens as it may.
    """
    name = _check(name, scope, days)
    life = _life(user, days)
    reached = [*_owners(user, owners), *_models(user, models)]
    if len(reached) > MAX_LIMITS:
        raise InvalidInputError(f"A token has at most {MAX_LIMITS} limits.", field="models")
    if ApiToken.objects.filter(user_id=user.pk).count() >= MAX_TOKENS:
        raise TooLargeError(f"An account has at most {MAX_TOKENS} tokens.", limit=MAX_TOKENS)
    with transaction.atomic():
        row, token = ApiToken.objects.create(
            user, expiry=life, name=name, scope=scope, limited=bool(reached)
        )
        TokenLimit.objects.bulk_create(
            TokenLimit(token=row, **{"owner" if isinstance(one, Owner) else "model": one})
            for one in reached
        )
        audit.note(
            user,
            "token.create",
            row.prefix,
            name=row.name,
            scope=scope,
            limits=[str(one) for one in reached],
        )
    return row, str(token)


def _check(name: str, scope: str, days: int) -> str:
    """Return the name without the spaces around it; InvalidInputError says what is wrong."""
    if scope not in TokenScope.values:
        raise InvalidInputError(
            f"A scope is one of {', '.join(TokenScope.values)}.", field="scope", value=scope[:80]
        )
    name = name.strip()
    if not name or len(name) > 80 or "\0" in name:
        raise InvalidInputError("A token's name has 1 to 80 characters.", field="name")
    if not 1 <= days <= MAX_DAYS:
        raise InvalidInputError(f"A token lives 1 to {MAX_DAYS} days.", field="days", value=days)
    return name


def _life(user: AbstractBaseUser, days: int) -> timedelta:
    """Return how long the new token lives: never longer than the one that makes it."""
    life = timedelta(days=days)
    maker = token_of(user)
    if maker is None:
        return life
    if maker.scope != TokenScope.ADMIN or maker.limited:
        raise NotAllowedError("Only a token of scope 'admin' without limits may change tokens.")
    ends: datetime | None = maker.expiry
    return life if ends is None else min(life, ends - timezone.now())


def _owners(user: AbstractBaseUser, names: Iterable[str]) -> list[Owner]:
    found: dict[int, Owner] = {}
    for name in names:
        owner = selectors.find_owner(name)
        if owner is None or role_in(user, owner) is None:
            raise UnknownOwnerError(
                f"You have no part in an owner '{name[:96]}'.", field="owners", name=name[:96]
            )
        found[owner.pk] = owner
    return list(found.values())


def _models(user: AbstractBaseUser, names: Iterable[str]) -> list[Model]:
    found = {model.pk: model for model in (selectors.find_model(name, user) for name in names)}
    return list(found.values())


def revoke(user: AbstractBaseUser, digest: str) -> bool:
    """Delete a token of `user`; False when they have none of that digest.

    Raises:
        NotAllowedError: another token asks, which is neither this one nor of scope `admin`.
    """
    maker = token_of(user)
    if maker is not None and maker.digest != digest:
        _life(user, 1)
    with transaction.atomic():
        row = ApiToken.objects.filter(user_id=user.pk, digest=digest.replace("\0", "")).first()
        if row is None:
            return False
        audit.note(user, "token.revoke", row.prefix, name=row.name)
        row.delete()
    return True


def leaked(texts: Iterable[str]) -> int:
    """Delete the tokens that `texts` spell out, whoever found them; return how many there were.

    Who holds a token may end it: that is less than what they could do with it. Its owner hears of
    it by letter.
    """
    ended = 0
    for text in texts:
        with transaction.atomic():
            row = (
                ApiToken.objects.select_for_update(of=("self",))
                .select_related("user")
                .filter(digest=hash_token(text))
                .first()
            )
            if row is None:
                continue
            own = Owner.objects.filter(user_id=row.user_id).first()
            audit.note(None, "token.leaked", row.prefix, about=own, name=row.name)
            used = f"{row.last_used_at:%Y-%m-%d %H:%M} UTC" if row.last_used_at else "never"
            letters.write(
                [row.user],
                f"Your token '{row.name}' was found and has been ended",
                f"Somebody found your API token '{row.name}' ({row.prefix}…, scope {row.scope}) "
                "where it should not be, and sent it to us. It is deleted: programs that used it "
                f"are out. Last use: {used}.\n\n"
                f"1. Look for what it did: {settings.SITE_URL}/settings/activity/\n"
                f"2. Make another one:     {settings.SITE_URL}/settings/tokens/",
            )
            row.delete()
            ended += 1
    return ended
