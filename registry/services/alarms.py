"""What a key's owner is told at once: a key was added, took another's place, or was revoked.

Whoever broke into an account makes a key of their own first; its owner has to hear of it from a
place that the intruder does not hold. An organisation's letter goes to all its admins. How a letter
is kept and sent is in `letters`.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.utils import timezone

from registry.choices import KeyEvent
from registry.models import Key
from registry.services import letters

_TITLES = {
    KeyEvent.REGISTERED: "A signing key was added for {owner}",
    KeyEvent.ROTATED: "A signing key of {owner} was replaced",
    KeyEvent.REVOKED: "A signing key of {owner} was revoked",
}
_WORDS = {
    KeyEvent.REGISTERED: "The key below was registered for {owner}. What it signs counts as signed "
    "by {owner} from now on.",
    KeyEvent.ROTATED: "The key below took the place of the key\n{previous}.\nThe old key signed "
    "that too. What the old key signs from now on counts for nothing.",
    KeyEvent.REVOKED: "The key below was revoked. What it signed before still counts, nothing "
    "later does.\nReason given: {reason}",
}
_BODY = """{words}

Name:         {name}
Fingerprint:  {fingerprint}
By account:   {account}
When:         {when}
The key:      {site}/keys/{fingerprint}/

If this was you, there is nothing to do.

If it was NOT you:
1. Change your password, and end what you do not know under
   {site}/settings/tokens/ and {site}/accounts/2fa/
2. {remedy}
3. Look at the releases that the key signed, on its page, and withdraw those that are not yours.
4. Tell the people who use your models.

The ledger keeps this change for ever, also when somebody undoes it:
{site}/ledger/?q={fingerprint}
"""
_REVOKE = "Revoke the key under {site}/settings/keys/ : any other key of {owner} can sign that."
_NEW_KEY = "Register a new key under {site}/settings/keys/ : a revocation cannot be taken back."


def raise_alarm(user: AbstractBaseUser | None, key: Key, event: KeyEvent) -> None:
    """Write the letter about `key`, in the caller's transaction; a key of the site itself has none.

    `user` did it.
    """
    if key.owner is None:
        return
    owner, site = key.owner.name, settings.SITE_URL
    remedy = _NEW_KEY if event == KeyEvent.REVOKED else _REVOKE
    body = _BODY.format(
        words=_WORDS[event].format(
            owner=owner, previous=key.previous_id, reason=key.revocation_reason
        ),
        name=key.name,
        fingerprint=key.pk,
        account="a command of the site" if user is None else user.get_username(),
        when=timezone.now().strftime("%Y-%m-%d %H:%M UTC"),
        site=site,
        remedy=remedy.format(site=site, owner=owner),
    )
    letters.write(letters.admins(key.owner), _TITLES[event].format(owner=owner), body)
